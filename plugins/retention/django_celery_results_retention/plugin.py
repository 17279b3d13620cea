"""The plugin: its answer for each result, its checks, its command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name for it

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.records import Command, Retention, TaskRecord

from .rules import STATES, first_match, kept, options

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

__all__: list[str] = []


@hookimpl
def result_retention(task: TaskRecord) -> Retention | None:
    """Answer as the first rule that matches says."""
    rule = first_match(task.name, task.status)
    return None if rule is None else Retention(seconds=rule.keep)


@hookimpl
def check_settings() -> Iterator[CheckMessage]:
    """Report wrong rules, and those that are never asked."""
    yield from options.check()
    try:
        rules = options.rules
    except BackendMisconfigured:
        return
    for number, rule in enumerate(rules):
        if earlier := next((one for one in rules[:number] if one.hides(rule)), None):
            yield Warning(
                f"DJANGO_CELERY_RESULTS['retention']['RULES']: rule {number + 1} ({rule}) is never "
                f"asked, as rule {rules.index(earlier) + 1} ({earlier}) stands before it.",
                hint="The first rule that matches decides: put the particular before the general.",
                id="django_celery_results_retention.W002",
            )


@hookimpl
def contribute_commands() -> Iterable[Command]:
    """Add ``manage.py celery_results retention TASK``."""
    yield Command(
        name="retention",
        help="how long the results of a task are kept, and which rule says so",
        run=explain,
        add_arguments=add_arguments,
    )


def add_arguments(parser: CommandParser) -> None:
    """Declare the task's name."""
    parser.add_argument("task", metavar="TASK", help="the full name of a task")


def explain(command: BaseCommand, arguments: Mapping[str, Any]) -> None:
    """Print for each state which rule decides, and what it says."""
    # Imported here: models and Celery's apps are there when a command runs.
    from django.core.management.base import CommandError

    from django_celery_results.management import print_table

    try:
        rules = list(options.rules)
    except BackendMisconfigured as error:
        raise CommandError(str(error)) from error
    rows = []
    for state in STATES:
        rule = first_match(arguments["task"], state)
        number = "-" if rule is None else str(rules.index(rule) + 1)
        rows.append((state, number, "as result_expires says" if rule is None else kept(rule.keep)))
    print_table(command, ("STATE", "RULE", "KEPT"), rows)
