"""``manage.py celery_results``: the entry point of this package's actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from ..chords_command import ChordsCommand
from ..expire_command import ExpireCommand
from ..hooks_command import HooksCommand
from ..plugins_command import PluginsCommand

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

    from ..subcommands import Subcommand

SUBCOMMANDS: tuple[Subcommand, ...] = (
    PluginsCommand(),
    HooksCommand(),
    ChordsCommand(),
    ExpireCommand(),
)


class Command(BaseCommand):
    """Runs one action."""

    help = "Inspect and maintain django-celery-results: its plugins, its hooks, its results."
    # What fails to load is part of what is shown; `check` is what fails because of it.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the actions, each with its own arguments."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for subcommand in SUBCOMMANDS:
            own = actions.add_parser(
                subcommand.name, help=subcommand.help, description=subcommand.__doc__
            )
            own.set_defaults(subcommand=subcommand)
            subcommand.add_arguments(own)

    def handle(self, *args: Any, subcommand: Subcommand, **options: Any) -> None:
        """Run the action."""
        subcommand.run(self, options)
