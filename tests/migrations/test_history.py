"""The system check that finds databases with an unfinished migration history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.core.checks import Tags
from django.core.checks.registry import registry
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from django_celery_results.migrations._history import APP_LABEL, REPLACED, check_migration_history

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(databases=["default", "secondary"])


def record_only(alias: str, *names: str) -> None:
    """Make ``names`` the only recorded migrations of this app in ``alias``."""
    recorder = MigrationRecorder(connections[alias])
    recorder.migration_qs.filter(app=APP_LABEL).delete()
    for name in names:
        recorder.record_applied(APP_LABEL, name)


def test_a_complete_history_is_fine() -> None:
    """The test databases themselves have one."""
    assert [] == check_migration_history(None, ["default", "secondary"])


def test_no_history_is_fine() -> None:
    """A database without any of the migrations can run the squashed one."""
    record_only("default")
    assert [] == check_migration_history(None, ["default"])


def test_all_fourteen_are_fine() -> None:
    """This is the state that 2.6.0 leaves behind."""
    record_only("default", *REPLACED)
    assert [] == check_migration_history(None, ["default"])


def test_a_partial_history_is_an_error_with_the_way_out() -> None:
    """The message says which database it is, where it stopped and what is missing."""
    record_only("secondary", *REPLACED[:12])
    [error] = check_migration_history(None, ["default", "secondary"])
    assert "django_celery_results.E050" == error.id
    assert error.msg == (
        "The migrations of django_celery_results in the database 'secondary' stopped at "
        "0012_taskresult_date_started; these migrations of 2.6.0 are still missing: "
        "0013_taskresult_django_cele_periodi_1993cf_idx, 0014_alter_taskresult_status."
    )
    assert error.hint == (
        "Install django-celery-results==2.6.0, run "
        "`manage.py migrate django_celery_results --database secondary`, then upgrade again."
    )


def test_a_gap_is_named() -> None:
    """The message lists missing migrations in the middle, not only those after the last one."""
    record_only("default", *(name for name in REPLACED if name != "0008_chordcounter"))
    [error] = check_migration_history(None, ["default"])
    assert "are still missing: 0008_chordcounter." in error.msg


def test_no_database_is_asked_unless_named() -> None:
    """The check reads no database unless Django names one, as for checks of databases."""
    record_only("default", "0001_initial")
    assert [] == check_migration_history(None, None)


def test_checks_of_other_apps_alone_leave_it_out() -> None:
    """``check auth`` reports nothing about this app."""
    record_only("default", "0001_initial")
    assert [] == check_migration_history([apps.get_app_config("auth")], ["default"])


def test_checks_of_this_app_include_it() -> None:
    """``check django_celery_results --database default`` reports it."""
    record_only("default", "0001_initial")
    assert 1 == len(check_migration_history([apps.get_app_config(APP_LABEL)], ["default"]))


def test_migrations_of_the_sites_own_are_left_alone(settings: Settings) -> None:
    """With MIGRATION_MODULES, the recorded names belong to the site's migrations."""
    record_only("default", "0001_initial")
    settings.MIGRATION_MODULES = {APP_LABEL: None}
    assert [] == check_migration_history(None, ["default"])


def test_the_check_is_registered_for_databases() -> None:
    """Django runs it wherever database checks are requested, as ``migrate`` does."""
    [check] = [
        check
        for check in registry.registered_checks
        if getattr(check, "__name__", "") == "check_migration_history"
    ]
    assert (Tags.database,) == check.tags
