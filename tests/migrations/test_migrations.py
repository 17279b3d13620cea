"""The migrations: what they create, and their message for a database that stopped half-way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from django_celery_results.migrations._history import REPLACED
from tests.site import Site, empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SQUASHED = "0001_squashed_0014_alter_taskresult_status"

#: Removes records of migrations, so that the database looks like 2.6's after ``sys.argv[1]``.
REWIND = """
import sys
import django
django.setup()
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django_celery_results.migrations._history import REPLACED
ours = MigrationRecorder(connection).migration_qs.filter(app="django_celery_results")
ours.exclude(name__in=[name for name in REPLACED if name <= sys.argv[1]]).delete()
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with an empty database."""
    with empty_database("migrations", tmp_path) as database:
        yield Site(tmp_path, database)


def applied(output: str) -> list[str]:
    """Return the migrations that ``migrate`` reported as applied."""
    return re.findall(r"Applying (\S+)\.\.\. OK", output)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH = 191",
        "DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'",
        "DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'",
    ],
)
def test_no_setting_asks_for_a_migration(site: Site, lines: str) -> None:
    """``makemigrations --check`` is clean for any length of ids and any default key."""
    site.configure(lines)
    assert "No changes detected\n" == site.manage("makemigrations", "--check", "--dry-run")


@pytest.mark.django_db
def test_the_models_need_no_migration() -> None:
    """The migrations describe the models as they are now."""
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


@pytest.mark.django_db
def test_the_squashed_migration_replaces_the_fourteen() -> None:
    """After the squashed migration, all fourteen that it replaces are recorded."""
    loader = MigrationLoader(connection)
    expected = {("django_celery_results", name) for name in (SQUASHED, *REPLACED)}
    assert expected <= set(loader.applied_migrations)


def test_a_fresh_database_goes_through_apps_that_name_replaced_migrations(site: Site) -> None:
    """Another app may depend on any of the fourteen names, and on the tables."""
    site.configure("INSTALLED_APPS += ['tests.dependent']")
    output = site.manage("migrate")
    names = applied(output)
    assert names.index(f"django_celery_results.{SQUASHED}") < names.index("dependent.0001_initial")
    assert "dependent.0002_every_name" in names


def test_an_app_that_names_replaced_migrations_stays_in_step(site: Site) -> None:
    """A database that 2.6 and such an app have migrated can run the new migrations."""
    site.configure("INSTALLED_APPS += ['tests.dependent']")
    site.manage("migrate", "dependent")
    site.manage("migrate", "django_celery_results", SQUASHED)
    site.checked("-c", REWIND, REPLACED[-1])
    output = site.manage("migrate")
    assert "Applying django_celery_results.0015_bigautofield... OK" in output
    assert SQUASHED not in output
    site.manage("makemigrations", "--check", "--dry-run", "django_celery_results")


def test_a_database_of_the_last_2_6_release_only_runs_what_is_new(site: Site) -> None:
    """If all fourteen are recorded, the squashed migration counts as applied."""
    site.manage("migrate", "django_celery_results", SQUASHED)
    site.checked("-c", REWIND, REPLACED[-1])
    output = site.manage("migrate", "django_celery_results")
    expected = [
        "django_celery_results.0015_bigautofield",
        "django_celery_results.0016_chord_parts_and_expiry",
        "django_celery_results.0017_expiry_index",
        "django_celery_results.0018_remove_unused_indexes",
    ]
    assert expected == applied(output)


@pytest.mark.parametrize("reached", [REPLACED[0], REPLACED[10], REPLACED[-2]])
def test_migrate_tells_a_half_migrated_database_what_to_do(site: Site, reached: str) -> None:
    """``migrate`` names the database, where it stopped, and the release to finish first."""
    site.manage("migrate", "django_celery_results", SQUASHED)
    site.checked("-c", REWIND, reached)
    done = site.run("-m", "django", "migrate")
    assert 1 == done.returncode
    assert "(django_celery_results.E050)" in done.stderr
    assert f"database 'default' stopped at {reached};" in done.stderr
    assert "Install django-celery-results==2.6.0" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_migrations_can_be_undone(site: Site) -> None:
    """Every migration can be reversed."""
    site.manage("migrate")
    output = site.manage("migrate", "django_celery_results", "zero")
    assert f"Unapplying django_celery_results.{SQUASHED}... OK" in output
