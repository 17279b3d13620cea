"""The tests import the package that a user installs, not the checkout."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import pytest

import django_celery_results

INSTALLED = os.environ.get("RESULTS_INSTALLED") == "1"


@pytest.mark.skipif(
    not INSTALLED, reason="only where the environment has the wheel: RESULTS_INSTALLED=1"
)
def test_tests_import_the_installed_package() -> None:
    """If the environment installed the wheel, the package comes from site-packages."""
    site_packages = Path(sysconfig.get_path("purelib")).resolve()

    package = Path(django_celery_results.__file__).resolve().parent

    assert site_packages / "django_celery_results" == package
