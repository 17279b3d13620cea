"""``manage.py celery_results plugins`` and ``hooks``: what is loaded, and the contract."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import hookspecs
from ..registry.discovery import indented
from ..registry.loading import LoadedPlugins, PluginInfo, hook_names, load_plugins
from .subcommands import Subcommand, print_table

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

__all__ = ["HooksCommand", "PluginsCommand"]

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
            found = [{**asdict(info), "full_name": info.full_name} for info in infos]
            command.stdout.write(json.dumps(found, indent=2))
            return
        print_table(command, HEADINGS, [_row(info) for info in infos])
        for info in infos:
            if info.reason:
                told = f"{info.full_name}: {info.status}: {info.reason}{indented(info.traceback)}"
                command.stdout.write(told)
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


class HooksCommand(Subcommand):
    """Prints the contract: each hook, and the plugins that implement it."""

    name = "hooks"
    help = "list the hooks and the plugins that implement them"

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--json", action="store_true", help="print JSON")

    def run(self, command: BaseCommand, options: Mapping[str, Any]) -> None:
        """Print the hooks, without plugins that failed to load."""
        loaded = load_plugins()
        hooks = [_describe(loaded, name) for name in hook_names()]
        if options["json"]:
            command.stdout.write(json.dumps(hooks, indent=2))
            return
        for hook in hooks:
            heading = f"{hook['name']}{hook['signature']}"
            command.stdout.write(command.style.MIGRATE_HEADING(heading))
            command.stdout.write(f"    {hook['summary']}")
            stops = "stops at the first non-None result" if hook["firstresult"] else "calls all"
            plugins = ", ".join(hook["plugins"]) or "-"
            command.stdout.write(f"    {stops}; implemented by: {plugins}")


def _describe(loaded: LoadedPlugins, name: str) -> dict[str, Any]:
    specification = getattr(hookspecs, name)
    caller = getattr(loaded.manager.hook, name)
    impls = reversed(caller.get_hookimpls())
    return {
        "name": name,
        # The annotations are strings, which would be printed with quotes.
        "signature": str(inspect.signature(specification)).replace("'", ""),
        "summary": (inspect.getdoc(specification) or "").partition("\n")[0],
        "firstresult": bool(caller.spec.opts["firstresult"]),
        "plugins": [impl.plugin_name for impl in impls],
    }
