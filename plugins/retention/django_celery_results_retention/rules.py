"""The rules, read from the settings and matched against tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from celery import states

from django_celery_results.options import Option, PluginOptions, seconds

__all__ = ["FOREVER", "STATES", "RetentionOptions", "Rule", "first_match", "options"]

#: The value of ``KEEP`` for results that never expire.
FOREVER = "forever"
#: The states of an ended task; only in these can a result expire.
STATES = tuple(sorted(states.READY_STATES))
KEYS = ("TASK", "STATE", "KEEP")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How long the results of some tasks are kept."""

    #: A pattern for the task's name: ``*`` matches any characters, ``?`` exactly one.
    task: str = "*"
    states: frozenset[str] = frozenset(STATES)
    #: Seconds, or ``None`` for forever.
    keep: float | None

    def matches(self, task: str | None, state: str) -> bool:
        """Return whether the rule applies to the task in this state."""
        return state in self.states and self._is_like(task or "")

    def _is_like(self, task: str) -> bool:
        # fnmatch treats a bracket as a wildcard; here it stands for itself.
        return fnmatchcase(task, self.task.replace("[", "[[]"))

    def hides(self, later: Rule) -> bool:
        """Return whether ``later`` can never apply, because this rule matches all its tasks."""
        # "*" matches every character, including the wildcards of the later pattern.
        is_wider = self._is_like(later.task) and not ("?" in self.task and "*" in later.task)
        return (is_wider or self.task == later.task) and self.states >= later.states

    def __str__(self) -> str:
        where = self.task if len(self.states) == len(STATES) else f"{self.task} {self.words}"
        return f"{where}: {kept(self.keep)}"

    @property
    def words(self) -> str:
        """The states as text for people."""
        return ", ".join(sorted(self.states))


def kept(keep: float | None) -> str:
    """Return the retention as text for people."""
    if keep is None:
        return "forever"
    return str(timedelta(seconds=keep)) if keep else "not kept"


def read_rules(value: object) -> Sequence[Rule]:
    """Read the setting ``RULES``; raise ``ValueError`` with what it has to be."""
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list of rules")  # noqa: TRY004 - a reader raises ValueError
    rules = []
    for number, one in enumerate(value, start=1):
        try:
            rules.append(_read_rule(one))
        except ValueError as error:
            raise ValueError(f"a list of rules, but rule {number} is wrong: {error}") from error
    return tuple(rules)


def _read_rule(value: object) -> Rule:
    if not isinstance(value, Mapping):
        raise ValueError("it has to be a dict")  # noqa: TRY004 - as above
    if unknown := [key for key in value if key not in KEYS]:
        raise ValueError(f"the key {unknown[0]!r} is not one of {', '.join(KEYS)}")
    task = value.get("TASK", "*")
    if not (isinstance(task, str) and task):
        raise ValueError("TASK has to be a task's name, with * and ? as wildcards")
    return Rule(task=task, states=_read_states(value), keep=_read_keep(value))


def _read_states(rule: Mapping[str, Any]) -> frozenset[str]:
    written = rule.get("STATE", STATES)
    found = [written] if isinstance(written, str) else written
    if not (isinstance(found, (list, tuple)) and found and all(one in STATES for one in found)):
        raise ValueError(f"STATE has to be one or more of {', '.join(STATES)}")
    return frozenset(found)


def _read_keep(rule: Mapping[str, Any]) -> float | None:
    written = rule.get("KEEP")
    if written == FOREVER:
        return None
    try:
        return seconds(written)
    except ValueError as error:
        raise ValueError(f"KEEP has to be {FOREVER!r}, or {error}") from error


class RetentionOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["retention"]``."""

    plugin = "retention"
    check_prefix = "django_celery_results_retention"

    #: The rules; the first that matches decides.
    rules: Option[Sequence[Rule]] = Option(read_rules, default=(), check="E002")


options = RetentionOptions()


def first_match(task: str | None, state: str) -> Rule | None:
    """Return the first rule that matches the task in this state, or ``None``."""
    return next((rule for rule in options.rules if rule.matches(task, state)), None)
