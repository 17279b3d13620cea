"""A Python in which some plugins are not installed, and its answers about stored results.

Its site directory links to everything installed here except those plugins, so that neither
an import nor importlib_metadata finds them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from together_site import WORKER_SETTINGS

__all__ = ["answers", "site_without"]

ROOT = Path(__file__).resolve().parent.parent.parent.parent

PROGRAM = """
import site, sys
site.addsitedir(sys.argv[1])
sys.path.append(sys.argv[2])
import django
django.setup()
import together_hiding
together_hiding.answer(sys.argv[3:])
"""


def site_without(directory: Path, *plugins: str) -> Path:
    """Make a site directory without the given plugins."""
    hidden = tuple(f"django_celery_results_{name}" for name in plugins)
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            link = directory / path.name
            if not (path.name.startswith(hidden) or link.is_symlink()):
                link.symlink_to(path)
    return directory


def answers(directory: Path, task_ids: list[str], *hidden: str) -> dict[str, Any]:
    """Return the answers of a site that neither has the hidden plugins installed nor uses them."""
    place = site_without(directory, *hidden)
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, str(place), str(ROOT), *task_ids],
        check=False,  # the assertion below shows its output
        cwd=directory,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": WORKER_SETTINGS,
            "PYTHONPATH": "",
            "RESULTS_HIDDEN": " ".join(hidden),
        },
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


# -- Inside that Python --------------------------------------------------------------


def answer(task_ids: list[str]) -> None:
    """Print the active plugins, the results or their errors, and the error of the old settings."""
    from django_celery_results.testing import plugin_infos

    names = sorted(one.name for one in plugin_infos() if not one.built_in)
    found = {
        "plugins": names,
        "results": {task_id: _result(task_id) for task_id in task_ids},
        "as before": _opened_as_before(),
    }
    sys.stdout.write(json.dumps(found))


def _app(**conf: Any) -> Any:
    from celery import Celery

    app = Celery("hiding", set_as_current=False)
    app.conf.update(result_backend="django-db", **conf)
    return app


def _result(task_id: str) -> Any:
    app = _app(result_accept_content=["json", "application/x-msgspec+json"])
    try:
        return app.backend.get_result(task_id)
    except Exception as error:  # noqa: BLE001 - the error is the answer
        return f"{type(error).__name__}: {error}"


def _opened_as_before() -> str:
    """Return the error of the settings that were right while all plugins were installed."""
    from django.test import override_settings
    from together_site import options

    with override_settings(DJANGO_CELERY_RESULTS=options()):
        app = _app(result_serializer="msgspec-json", result_accept_content=["json", "msgspec-json"])
        try:
            app.backend.as_uri()
        except Exception as error:  # noqa: BLE001 - the error is the answer
            return f"{type(error).__name__}: {error}"
    return ""
