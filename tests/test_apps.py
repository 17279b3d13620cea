"""The app config, and the modules that importing it loads."""

from __future__ import annotations

import json
import subprocess
import sys

from django.apps import apps

from django_celery_results.apps import CeleryResultConfig


def modules_after(statement: str) -> set[str]:
    """Return the modules that are loaded in a new Python after ``statement``."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stdout))


def test_the_config_is_the_apps_own() -> None:
    """A site that lists the package gets this config, with the app label of 2.6."""
    config = apps.get_app_config("django_celery_results")
    assert isinstance(config, CeleryResultConfig)
    assert "django_celery_results" == config.name
    assert "Celery Results" == str(config.verbose_name)
    assert "django.db.models.AutoField" == config.default_auto_field


def test_importing_the_config_imports_no_celery() -> None:
    """Django can set up the site before Celery is loaded."""
    modules = modules_after("import django_celery_results.apps")
    assert "celery" not in modules
    assert "django_celery_results.models" not in modules


def test_importing_the_package_imports_no_models() -> None:
    """Plugin authors write ``import django_celery_results``: it loads no model and no Celery."""
    modules = modules_after("import django_celery_results")
    assert "celery" not in modules
    assert "django" not in modules
