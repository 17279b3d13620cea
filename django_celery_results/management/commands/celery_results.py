"""``manage.py celery_results``: runs this package's actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from ...registry.loading import load_plugins
from ..chords_command import ChordsCommand
from ..expire_command import ExpireCommand
from ..listing_commands import HooksCommand, PluginsCommand
from ..startplugin_command import StartPluginCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.management.base import CommandParser

    from ...records import Command as PluginCommand
    from ..subcommands import Subcommand

SUBCOMMANDS: tuple[Subcommand, ...] = (
    PluginsCommand(),
    HooksCommand(),
    ChordsCommand(),
    ExpireCommand(),
    StartPluginCommand(),
)


class Command(BaseCommand):
    """Runs one action."""

    help = "Inspect and maintain django-celery-results: its plugins, hooks and results."
    # The actions must run, and report plugins that fail to load; `check` fails for those.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the actions, each with its own arguments."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for subcommand in _subcommands():
            own = actions.add_parser(
                subcommand.name,
                help=_plain(subcommand.help),
                description=_description(subcommand.description or subcommand.help),
            )
            own.set_defaults(subcommand=subcommand)
            if subcommand.add_arguments is not None:
                subcommand.add_arguments(own)

    def handle(self, *args: Any, subcommand: Subcommand | PluginCommand, **options: Any) -> None:
        """Run the action."""
        subcommand.run(self, options)


def _plain(text: str) -> str:
    """Return ``text`` so that argparse prints it unchanged: argparse formats it with ``%``."""
    return text.replace("%", "%%")


def _description(text: str) -> str:
    """Return a description so that argparse prints it unchanged.

    argparse formats a description only if it names the program.
    """
    return _plain(text) if "%(prog)" in text else text


def _subcommands() -> Iterator[Subcommand | PluginCommand]:
    """Yield the built-in actions, then the plugins' actions sorted by name."""
    yield from SUBCOMMANDS
    contributed = load_plugins().contributions.commands
    yield from (contributed[name] for name in sorted(contributed))
