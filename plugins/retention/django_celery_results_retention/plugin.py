"""The plugin's hooks: the retention of each result, the checks and the command."""

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
    """Return the retention of the first rule that matches."""
    rule = first_match(task.name, task.status)
    return None if rule is None else Retention(seconds=rule.keep)


@hookimpl
def check_settings() -> Iterator[CheckMessage]:
    """Report wrong rules, and rules that can never apply."""
    yield from options.check()
    try:
        rules = options.rules
    except BackendMisconfigured:
        return
    for number, rule in enumerate(rules):
        if earlier := next((one for one in rules[:number] if one.hides(rule)), None):
            yield Warning(
                f"DJANGO_CELERY_RESULTS['retention']['RULES']: rule {number + 1} ({rule}) never "
                f"applies, because rule {rules.index(earlier) + 1} ({earlier}) comes before it.",
                hint="The first rule that matches decides: put specific rules before general ones.",
                id="django_celery_results_retention.W002",
            )


@hookimpl
def contribute_commands() -> Iterable[Command]:
    """Contribute ``manage.py celery_results retention TASK``."""
    yield Command(
        name="retention",
        help="show how long the results of a task are kept, and by which rule",
        run=explain,
        add_arguments=add_arguments,
    )


def add_arguments(parser: CommandParser) -> None:
    """Declare the argument, the task's name."""
    parser.add_argument("task", metavar="TASK", help="the full name of a task")


def explain(command: BaseCommand, arguments: Mapping[str, Any]) -> None:
    """Print, for each state, the rule that decides and how long it keeps the result."""
    # Imported late: models and Celery's apps are loaded when a command runs.
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
