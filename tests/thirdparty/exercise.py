"""A small site that uses third-party plugins; it prints its observations as JSON.

    python exercise.py BACKEND DIRECTORY entry-points|settings

With ``settings`` the plugins are listed in DJANGO_CELERY_RESULTS["PLUGINS"], one in each form that
the setting takes; with ``entry-points`` they are found because they are installed.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from celery import Celery, chord, group
from celery.contrib.testing.worker import start_worker
from celery.result import GroupResult
from django.conf import settings
from django.core.management import call_command

SECRET = "hunter2"


def plugins_for_settings() -> list[Any]:
    """Return plugins as a module, a class, an instance and a dotted path."""
    return [
        import_module("results_literal"),
        import_module("results_checksum").ChecksumPlugin,
        import_module("results_redact").RedactPlugin(),
        "mystore.plugin",
    ]


def configure(directory: Path, way: str) -> None:
    """Set Django up, with an empty database in ``directory``."""
    options: dict[str, Any] = {"CODINGS": ["crc32"], "redact": {"secrets": [SECRET]}}
    if way == "settings":
        options["PLUGINS"] = plugins_for_settings()
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(directory / "django.sqlite3")}
    settings.configure(
        DATABASES={"default": {**database, "OPTIONS": {"timeout": 30}}},
        INSTALLED_APPS=["django_celery_results"],
        DJANGO_CELERY_RESULTS=options,
        USE_TZ=True,
    )
    django.setup()
    call_command("check")
    call_command("migrate", verbosity=0)


def make_app(backend: str) -> Celery:
    """Return a Celery app with a task for every behaviour under test."""
    app = Celery("thirdparty", broker="memory://", backend=backend)
    app.conf.update(
        broker_transport_options={"polling_interval": 0.01},
        result_serializer="literal",
        result_accept_content=["literal", "json"],
    )

    @app.task(name="add", shared=False)
    def add(x: int, y: int) -> int:
        return x + y

    @app.task(name="quiet", shared=False, ignore_result=True)
    def quiet(x: int) -> int:
        return x * x

    @app.task(name="total", shared=False)
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @app.task(name="tell", shared=False)
    def tell(value: Any) -> Any:
        return value

    @app.task(name="pair", shared=False)
    def pair() -> dict[int, tuple[int, None]]:
        return {1: (2, None)}

    @app.task(name="fail", shared=False)
    def fail() -> None:
        raise LookupError("nothing there")

    return app


def observe(app: Celery) -> dict[str, Any]:
    """Run tasks and return their outcomes."""
    add, quiet, total, tell, fail = (
        app.tasks[name] for name in ("add", "quiet", "total", "tell", "fail")
    )
    several: Any = group(add.s(number, number) for number in range(3)).apply_async()
    several.save()
    failed = fail.delay()
    failed.get(propagate=False, timeout=30)
    single = app.tasks["pair"].delay()
    value = single.get(timeout=30)
    return {
        "value": repr(value),
        "none": repr(tell.delay(None).get(timeout=30)),
        "secret": tell.delay(SECRET).get(timeout=30),
        "failure": repr(failed.result),
        "group": several.get(timeout=30),
        "restored": GroupResult.restore(several.id, app=app).get(timeout=30),
        "chord": chord([add.s(number, 1) for number in range(4)])(total.s()).get(timeout=30),
        "quiet_chord": chord([quiet.s(number) for number in range(4)])(total.s()).get(timeout=30),
        "chord_error": repr(
            chord([add.s(1, 1), fail.s()])(total.s()).get(timeout=30, propagate=False)
        ),
        "worker": app.backend.get_task_meta(single.id)["worker"],
        **stored(app, single.id),
        "forgotten": forget(app, single),
        "expired": expire(app, failed),
    }


def stored(app: Celery, task_id: str) -> dict[str, Any]:
    """Return the content type and encoding of a result in the storage."""
    backend: Any = app.backend
    (task,) = backend.results.load([task_id])
    return {
        "content_type": task.contents.content_type,
        "content_encoding": task.contents.content_encoding,
    }


def forget(app: Celery, result: Any) -> str:
    """Forget a result, and return the state of its task after that."""
    result.forget()
    state: str = app.AsyncResult(result.id).state
    return state


def expire(app: Celery, result: Any) -> list[str]:
    """Expire a result, and return the state of its task before and after that."""
    backend: Any = app.backend
    before = backend.get_task_meta(result.id, cache=False)["status"]
    time.sleep(0.1)
    # Set here, because every result is still too young to expire by the settings.
    backend.expires = 0.05
    backend.cleanup()
    return [before, backend.get_task_meta(result.id, cache=False)["status"]]


def main(backend: str, directory: str, way: str) -> None:
    """Print the observations and the plugins that were loaded."""
    configure(Path(directory), way)
    app = make_app(backend)
    with start_worker(app, pool="solo", perform_ping_check=False):
        seen = observe(app)
    # Importable only once Django is set up.
    from django_celery_results.registry.loading import load_plugins

    infos = load_plugins().infos
    seen["plugins"] = [[info.name, info.origin, info.distribution, info.version] for info in infos]
    seen["backend"] = f"{type(app.backend).__module__}.{type(app.backend).__qualname__}"
    print(json.dumps(seen))  # noqa: T201  the test reads this


if __name__ == "__main__":
    main(*sys.argv[1:])
