"""``manage.py celery_results plugins``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..registry.loading import PluginInfo, load_plugins
from .subcommands import Subcommand, print_table

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

__all__ = ["PluginsCommand"]

HEADINGS = ("PLUGIN", "DISTRIBUTION", "VERSION", "FROM", "STATUS", "HOOKS")


class PluginsCommand(Subcommand):
    """Prints the plugins in the order in which they are called."""

    name = "plugins"
    help = "list the plugins in the order in which they are called"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--all", action="store_true", help="include plugins that are disabled or did not load"
        )

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> None:
        """Print the plugins. Plugins that failed to load are shown, not raised."""
        every = load_plugins().infos
        infos = [info for info in every if options["all"] or info.status == "active"]
        if options["json"]:
            command.stdout.write(json.dumps([asdict(info) for info in infos], indent=2))
            return
        print_table(command, HEADINGS, [_row(info) for info in infos])
        for info in infos:
            if info.reason:
                command.stdout.write(f"{info.name}: {info.status}: {info.reason}")
        if hidden := len(every) - len(infos):
            command.stdout.write(f"{hidden} more not active; run with --all to see why.")


def _row(info: PluginInfo) -> Sequence[str]:
    return (
        info.name,
        info.distribution or "-",
        info.version or "-",
        info.origin,
        info.status,
        ", ".join(info.hooks) or "-",
    )
