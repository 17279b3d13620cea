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

#: Files for every plugin (``common``) and for each kind. PACKAGE in a path is the package name.
TEMPLATES = Path(__file__).resolve().parent.parent / "plugin_templates"
SUFFIX = ".tmpl"
#: A name that is valid for a coding, as a URL scheme and, apart from hyphens, for a package.
NAME = r"(?=.{1,40}$)[a-z][a-z0-9]*(-[a-z0-9]+)*"

#: The README's usage section for each kind of plugin; NAME stands for the plugin's name.
USAGE = {
    "serializer": (
        "To select it, and still read results that were stored as JSON:\n\n```python\n"
        'CELERY_RESULT_SERIALIZER = "NAME"\nCELERY_RESULT_ACCEPT_CONTENT = ["NAME", "json"]\n```\n'
    ),
    "coding": (
        "To switch it on:\n\n```python\n"
        'DJANGO_CELERY_RESULTS = {"CODINGS": ["NAME"]}\n```\n\n'
        "Keep it installed as long as any stored result needs it.\n"
    ),
    "tweak": "It is active once it is installed and the workers have been restarted.\n",
    "observer": "It is active once it is installed and the workers have been restarted.\n",
    "storage": (
        "To store results in it:\n\n```python\n"
        'CELERY_RESULT_BACKEND = "NAME:///var/lib/mysite/results.sqlite3"\n```\n'
    ),
}
#: Extra entry point for a storage: makes its name a URL scheme for result backends.
BACKEND = """
[project.entry-points."celery.result_backends"]
NAME = "django_celery_results.backends:ResultBackend"
"""


class StartPluginCommand(Subcommand):
    """Writes a working plugin: an installable distribution with tests.

    An entry point registers the plugin once it is installed. The plugin passes the test suite
    for its kind. Replace what it does with your own code.
    """

    name = "startplugin"
    help = "write a new plugin, ready to install and test"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument(
            "name",
            type=_parse_name,
            help="the plugin's name: lowercase letters, digits and single hyphens",
        )
        parser.add_argument(
            "directory",
            nargs="?",
            type=Path,
            help="where to write it; the default is django-celery-results-NAME in the current "
            "directory",
        )
        parser.add_argument(
            "--kind", choices=sorted(USAGE), default="tweak", help="the kind of plugin (tweak)"
        )

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> None:
        """Write the files; raise ``CommandError`` instead of overwriting anything."""
        name, kind = options["name"], options["kind"]
        directory = options["directory"] or Path(f"django-celery-results-{name}")
        info = load_plugins().info(name)
        if info is not None:
            raise CommandError(f"A plugin with this name exists already: {info}. Choose another")
        if _is_taken(name, kind):
            raise CommandError(
                f"Celery, Kombu or a plugin already has a {kind} {name!r}; choose another name"
            )
        try:
            _write(directory, _files(name, kind))
        except OSError as error:
            raise CommandError(f"Cannot write to {directory}: {error}") from error
        command.stdout.write(f"Wrote the {kind} {name!r} to {directory}. To try it:")
        command.stdout.write(f"    pip install -e '{directory}[test]' && pytest {directory}")


def _parse_name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a valid plugin name; use lowercase letters, digits and single "
            "hyphens, starting with a letter, such as my-plugin"
        )
    return text


def _is_taken(name: str, kind: str) -> bool:
    """Return whether the name would keep this plugin, or another, from loading."""
    if kind == "serializer":
        return is_serializer(name) or is_serializer(f"application/x-{name}")
    if kind == "coding":
        coding = load_plugins().contributions.coding(name)
        return coding is not None or name in SERIALIZER_ENCODINGS
    return kind == "storage" and name in _backends()


def _backends() -> set[str]:
    """Return the result backend URL schemes that Celery knows."""
    from celery.app.backends import BACKEND_ALIASES

    found = importlib_metadata.entry_points(group="celery.result_backends")
    return {*BACKEND_ALIASES, *found.names}


def _write(directory: Path, files: Iterable[tuple[Path, str]]) -> None:
    if directory.exists() and not (directory.is_dir() and not any(directory.iterdir())):
        raise CommandError(
            f"{directory} exists and is not an empty directory; choose another directory"
        )
    for path, text in files:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")


def _files(name: str, kind: str) -> Iterator[tuple[Path, str]]:
    """Yield the path and text of each file."""
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
