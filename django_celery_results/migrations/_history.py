"""A system check that finds databases that stopped half-way through 2.6.0's migrations.

One squashed migration replaces the fourteen of 2.6.0. Django counts it as
applied if all fourteen are recorded, and can run it if none is; with only
some of them recorded, Django raises an error about its migration graph.
The check below runs before that and says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from ..conf import results_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from django.apps import AppConfig

APP_LABEL = "django_celery_results"

#: The last release that contains the replaced migrations one by one.
LAST_WITH_REPLACED = "2.6.0"

#: The migrations that the squashed one replaces, in the order of 2.6.0.
REPLACED = (
    "0001_initial",
    "0002_add_task_name_args_kwargs",
    "0003_auto_20181106_1101",
    "0004_auto_20190516_0412",
    "0005_taskresult_worker",
    "0006_taskresult_date_created",
    "0007_remove_taskresult_hidden",
    "0008_chordcounter",
    "0009_groupresult",
    "0010_remove_duplicate_indices",
    "0011_taskresult_periodic_task_name",
    "0012_taskresult_date_started",
    "0013_taskresult_django_cele_periodi_1993cf_idx",
    "0014_alter_taskresult_status",
)


def check_migration_history(
    app_configs: Sequence[AppConfig] | None,
    databases: Iterable[str] | None,
    **_kwargs: Any,
) -> list[CheckMessage]:
    """Return an error for each of ``databases`` that stopped among 2.6.0's migrations.

    ``migrate`` runs this check for the database that it is about to change;
    ``check --database <alias>`` runs it by hand. The check skips a site that keeps
    its own migrations for this app (``MIGRATION_MODULES``).

    If a database cannot be read, its error is raised unchanged.
    """
    if APP_LABEL in results_settings.migration_modules:
        return []
    if app_configs is not None and APP_LABEL not in {app.label for app in app_configs}:
        return []
    histories = ((alias, _recorded(alias)) for alias in databases or ())
    return [_unfinished(alias, names) for alias, names in histories if _is_partial(names)]


def _recorded(alias: str) -> set[str]:
    applied = MigrationRecorder(connections[alias]).applied_migrations()
    return {name for app, name in applied if app == APP_LABEL}


def _is_partial(names: set[str]) -> bool:
    recorded = names.intersection(REPLACED)
    return bool(recorded) and len(recorded) < len(REPLACED)


def _unfinished(alias: str, names: set[str]) -> CheckMessage:
    reached = [name for name in REPLACED if name in names][-1]
    missing = [name for name in REPLACED if name not in names]
    return Error(
        f"The migrations of {APP_LABEL} in the database {alias!r} stopped at {reached}; "
        f"these migrations of {LAST_WITH_REPLACED} are still missing: {', '.join(missing)}.",
        hint=(
            f"Install django-celery-results=={LAST_WITH_REPLACED}, run "
            f"`manage.py migrate {APP_LABEL} --database {alias}`, then upgrade again."
        ),
        id="django_celery_results.E050",
    )
