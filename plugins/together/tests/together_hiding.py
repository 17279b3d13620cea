"""A Python in which some of the plugins are not installed, and what it says of stored results.

Its site directory has links to all that is installed here but to those: so neither their
packages nor their metadata are there, for importlib_metadata as for an import.
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
    """Make a site directory without those plugins."""
    hidden = tuple(f"django_celery_results_{name}" for name in plugins)
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            link = directory / path.name
            if not (path.name.startswith(hidden) or link.is_symlink()):
                link.symlink_to(path)
    return directory


def answers(directory: Path, task_ids: list[str], *hidden: str) -> dict[str, Any]:
    """What a site without those plugins, whose settings name none of them, says of the results."""
    place = site_without(directory, *hidden)
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, str(place), str(ROOT), *task_ids],
        check=False,  # what it printed says why it failed
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


# -- In that Python ------------------------------------------------------------------


def answer(task_ids: list[str]) -> None:
    """Print what is there: the plugins, the results, and why those cannot be had that cannot."""
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
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return f"{type(error).__name__}: {error}"


def _opened_as_before() -> str:
    """What is wrong with the settings that were right while all were installed."""
    from django.test import override_settings
    from together_site import options

    with override_settings(DJANGO_CELERY_RESULTS=options()):
        app = _app(result_serializer="msgspec-json", result_accept_content=["json", "msgspec-json"])
        try:
            app.backend.as_uri()
        except Exception as error:  # noqa: BLE001 - it is what is asked for
            return f"{type(error).__name__}: {error}"
    return ""
