"""A temporary Django site, for behaviour that only a real process can show."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent

SETTINGS = """\
import sys

sys.path.append({root!r})
DATABASES = {{"default": {database!r}}}
INSTALLED_APPS = ["django.contrib.contenttypes", "django_celery_results"]
SECRET_KEY = "this site keeps no secret"
USE_TZ = True
{lines}
"""


# The checkout comes last, so that the installed package is imported instead of the checkout.
RUN_MODULE = f"""\
import runpy, sys, django
sys.path.append({str(ROOT)!r})
django.setup()
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


class Site:
    """A directory with a settings module, and the Python that runs the site."""

    def __init__(
        self, directory: Path, database: dict[str, Any], python: str = sys.executable
    ) -> None:
        self.directory = directory
        self.database = database
        self.python = python
        self.configure("")

    def configure(self, lines: str) -> None:
        """Write the settings again, with ``lines`` at the end."""
        text = SETTINGS.format(root=str(ROOT), database=self.database, lines=lines)
        (self.directory / "site_settings.py").write_text(text)

    def run(self, *arguments: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python with ``arguments`` in the site's directory; return its output as text."""
        environment = {
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "PATH": "/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.directory),
        }
        return subprocess.run(
            [python or self.python, *arguments],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def manage(self, *arguments: str, python: str | None = None) -> str:
        """Return the output of the management command, or fail with its errors."""
        return self.checked("-m", "django", *arguments, python=python)

    def script(self, module: str, *arguments: str, python: str | None = None) -> Any:
        """Run ``module`` as a script, with Django set up; return the JSON in its last line."""
        output = self.checked("-c", RUN_MODULE, module, *arguments, python=python)
        return json.loads(output.splitlines()[-1])

    def checked(self, *arguments: str, python: str | None = None) -> str:
        """Return Python's output, or fail with its errors."""
        done = self.run(*arguments, python=python)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextmanager
def empty_database(label: str, directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the options of a new, empty database on the engine of this run; drop it afterwards."""
    options = settings.ENGINES[settings.DATABASE](label)
    if settings.DATABASE == "sqlite":
        yield options | {"NAME": str(directory / f"{label}.sqlite3")}
        return
    administer = {"postgresql": _postgresql, "mariadb": _mariadb}[settings.DATABASE]
    administer(f"DROP DATABASE IF EXISTS {options['NAME']}")
    administer(f"CREATE DATABASE {options['NAME']}")
    try:
        yield options
    finally:
        administer(f"DROP DATABASE {options['NAME']}")


def _postgresql(statement: str) -> None:
    connection = import_module("psycopg").connect(
        host=settings.POSTGRES_HOST,
        port=settings.POSTGRES_PORT,
        user=settings.POSTGRES_USER,
        password=settings.POSTGRES_PASSWORD,
        dbname="postgres",
        autocommit=True,
    )
    with connection:
        connection.execute(statement)


def _mariadb(statement: str) -> None:
    connection = import_module("MySQLdb").connect(
        host=settings.MARIADB_HOST,
        port=settings.MARIADB_PORT,
        user=settings.MARIADB_USER,
        password=settings.MARIADB_PASSWORD,
    )
    suffix = " CHARACTER SET utf8mb4" if statement.startswith("CREATE") else ""
    connection.query(statement + suffix)
    connection.close()
