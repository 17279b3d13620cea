"""``manage.py celery_results startplugin``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import importlib_metadata
from django.core.management.base import CommandError

from .. import __version__
from ..contributions import SERIALIZER_ENCODINGS
from ..registry.catalogue import is_serializer
from ..registry.loading import load_plugins
from .subcommands import Subcommand

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

__all__ = ["StartPluginCommand"]

#: The files that every plugin has, and those of each kind; PACKAGE in a path is the package.
TEMPLATES = Path(__file__).resolve().parent.parent / "plugin_templates"
SUFFIX = ".tmpl"
#: A name that can be one of a coding, of a URL's scheme and, but for hyphens, of a package.
NAME = r"(?=.{1,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*"

#: What the README says of each kind, of a plugin that is called NAME.
USAGE = {
    "serializer": (
        "To select it, and to be able to read what was stored before:\n\n```python\n"
        'CELERY_RESULT_SERIALIZER = "NAME"\nCELERY_RESULT_ACCEPT_CONTENT = ["NAME", "json"]\n```\n'
    ),
    "coding": (
        "To switch it on:\n\n```python\n"
        'DJANGO_CELERY_RESULTS = {"CODINGS": ["NAME"]}\n```\n\n'
        "Keep it installed for as long as there are results that need it.\n"
    ),
    "tweak": "It is on as soon as it is installed and the workers are started again.\n",
    "observer": "It is on as soon as it is installed and the workers are started again.\n",
    "storage": (
        "To keep results in it:\n\n```python\n"
        'CELERY_RESULT_BACKEND = "NAME:///var/lib/mysite/results.sqlite3"\n```\n'
    ),
}
#: Further entry points: a storage has its name as the scheme of URLs.
BACKEND = """
[project.entry-points."celery.result_backends"]
NAME = "django_celery_results.backends:ResultBackend"
"""


class StartPluginCommand(Subcommand):
    """Writes a plugin that works: a distribution to install, with its tests.

    It has an entry point, so that it is found where it is installed, and passes the suite of
    its kind. What it does is for you to replace.
    """

    name = "startplugin"
    help = "write the beginnings of a plugin, ready to install and to test"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "name",
            type=_parse_name,
            help="the plugin's name: lower-case letters, digits and single hyphens",
        )
        parser.add_argument(
            "directory",
            nargs="?",
            type=Path,
            help="where to write it; by default django-celery-results-NAME, here",
        )
        parser.add_argument(
            "--kind", choices=sorted(USAGE), default="tweak", help="what it is to do (tweak)"
        )

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> None:
        """Write the files; raise ``CommandError`` where something would be overwritten."""
        name, kind = options["name"], options["kind"]
        directory = options["directory"] or Path(f"django-celery-results-{name}")
        info = load_plugins().info(name)
        if info is not None:
            raise CommandError(f"There is a plugin of that name already: {info}")
        if _is_taken(name, kind):
            raise CommandError(
                f"Celery, Kombu or a plugin has a {kind} {name!r} already; choose another name"
            )
        try:
            _write(directory, _files(name, kind))
        except OSError as error:
            raise CommandError(f"{directory} cannot be written: {error}") from error
        command.stdout.write(f"Wrote the {kind} {name!r} to {directory}. To try it:")
        command.stdout.write(f"    pip install -e '{directory}[test]' && pytest {directory}")


def _parse_name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name for a plugin; use lower-case letters, digits and single "
            "hyphens, a letter first, as in my-plugin"
        )
    return text


def _is_taken(name: str, kind: str) -> bool:
    """Return whether a plugin of that kind and name would not load, or keep another from it."""
    if kind == "serializer":
        return is_serializer(name) or is_serializer(f"application/x-{name}")
    if kind == "coding":
        coding = load_plugins().contributions.coding(name)
        return coding is not None or name in SERIALIZER_ENCODINGS
    return kind == "storage" and name in _backends()


def _backends() -> set[str]:
    """Return the schemes of result backend URLs that Celery knows."""
    from celery.app.backends import BACKEND_ALIASES

    found = importlib_metadata.entry_points(group="celery.result_backends")
    return {*BACKEND_ALIASES, *found.names}


def _write(directory: Path, files: Iterable[tuple[Path, str]]) -> None:
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise CommandError(f"{directory} exists already, and is not an empty directory")
    for path, text in files:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")


def _files(name: str, kind: str) -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each file."""
    package = f"django_celery_results_{name.replace('-', '_')}"
    words = {
        "core": __version__,
        "distribution": f"django-celery-results-{name}",
        "kind": kind,
        "more": BACKEND.replace("NAME", name) if kind == "storage" else "",
        "name": name,
        "package": package,
        "usage": USAGE[kind].replace("NAME", name),
    }
    for folder in (TEMPLATES / "common", TEMPLATES / kind):
        for template in sorted(folder.rglob(f"*{SUFFIX}")):
            path = template.relative_to(folder).with_suffix("")
            text = Template(template.read_text(encoding="utf-8")).substitute(words)
            yield Path(str(path).replace("PACKAGE", package)), text
