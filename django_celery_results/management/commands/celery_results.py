"""``manage.py celery_results``: look at the plugins and at the hook contract."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from ... import hookspecs
from ...plugins import LoadedPlugins, PluginInfo, hook_names, load_plugins

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

HEADINGS = ("PLUGIN", "DISTRIBUTION", "VERSION", "FROM", "STATUS", "HOOKS")


class Command(BaseCommand):
    """Prints the plugins in the order in which they are called, or the hooks."""

    help = "Inspect django-celery-results: its plugins and its hooks."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the subcommands."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        plugins = actions.add_parser("plugins", help="the plugins, first called first")
        plugins.add_argument("--json", action="store_true", help="print JSON")
        plugins.add_argument(
            "--all", action="store_true", help="also those that are disabled or failed to load"
        )
        hooks = actions.add_parser("hooks", help="the hooks, and which plugins implement them")
        hooks.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run the subcommand."""
        # Failures are part of what is shown, so they must not keep it from being shown.
        loaded = load_plugins()
        if action == "plugins":
            self._plugins(loaded, as_json=options["json"], everything=options["all"])
        else:
            self._hooks(loaded, as_json=options["json"])

    def _plugins(self, loaded: LoadedPlugins, *, as_json: bool, everything: bool) -> None:
        infos = [info for info in loaded.infos if everything or info.status == "active"]
        if as_json:
            self.stdout.write(json.dumps([asdict(info) for info in infos], indent=2))
            return
        self._print_table(HEADINGS, [_plugin_row(info) for info in infos])
        for info in infos:
            if info.reason:
                self.stdout.write(f"{info.name}: {info.status}: {info.reason}")
        hidden = len(loaded.infos) - len(infos)
        if hidden:
            self.stdout.write(f"{hidden} more not active; --all shows why.")

    def _hooks(self, loaded: LoadedPlugins, *, as_json: bool) -> None:
        hooks = [_describe_hook(loaded, name) for name in hook_names()]
        if as_json:
            self.stdout.write(json.dumps(hooks, indent=2))
            return
        for hook in hooks:
            self.stdout.write(self.style.MIGRATE_HEADING(f"{hook['name']}{hook['signature']}"))
            self.stdout.write(f"    {hook['summary']}")
            stops = "stops at the first non-None result" if hook["firstresult"] else "calls all"
            self.stdout.write(f"    {stops}; implemented by: {', '.join(hook['plugins']) or '-'}")

    def _print_table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        table = [headings, *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())


def _plugin_row(info: PluginInfo) -> Sequence[str]:
    return (
        info.name,
        info.distribution or "-",
        info.version or "-",
        info.origin,
        info.status,
        ", ".join(info.hooks) or "-",
    )


def _describe_hook(loaded: LoadedPlugins, name: str) -> dict[str, Any]:
    specification = getattr(hookspecs, name)
    caller = getattr(loaded.manager.hook, name)
    impls = reversed(caller.get_hookimpls())
    return {
        "name": name,
        # Annotations are strings here, and would be printed in quotes.
        "signature": str(inspect.signature(specification)).replace("'", ""),
        "summary": (inspect.getdoc(specification) or "").partition("\n")[0],
        "firstresult": bool(caller.spec.opts["firstresult"]),
        "plugins": [impl.plugin_name for impl in impls],
    }
