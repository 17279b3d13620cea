"""The rules: read from the settings, and what they say of a task, a key or a text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from functools import lru_cache

from django_celery_results.options import Option, PluginOptions, boolean, names, text

from .defaults import DEFAULT_KEYS, DEFAULT_PATTERNS

__all__ = ["ALL", "FIELDS", "RedactOptions", "TaskRule", "is_secret_key", "options", "task_rule"]

#: All that is stored of a task, in the setting ``TASKS``.
ALL = "all"
#: What can be masked as a whole.
FIELDS = ("args", "kwargs", "result", "traceback", "meta")
LONGEST_NAME = 200


@dataclass(frozen=True)
class TaskRule:
    """What is masked of one task, besides what is masked of all."""

    #: The fields that are masked as a whole.
    fields: frozenset[str] = frozenset()
    #: The arguments and keys that are secret there.
    names: frozenset[str] = frozenset()

    def __or__(self, other: TaskRule) -> TaskRule:
        return TaskRule(self.fields | other.fields, self.names | other.names)


# -- What the settings have to be ----------------------------------------------------


def read_patterns(value: object) -> tuple[str, ...]:
    """Read a list of regular expressions; raise ``ValueError`` with what is wrong."""
    patterns = names(value)
    for pattern in patterns:
        try:
            matches_nothing = re.compile(pattern).search("")
        except re.error as error:
            raise ValueError(
                f"a list of regular expressions, and {pattern!r} is none: {error}"
            ) from error
        if matches_nothing:
            raise ValueError(f"a list of regular expressions, and {pattern!r} matches no text")
    return patterns


def read_keys(value: object) -> tuple[str, ...]:
    """Read a list of names in which ``*`` and ``?`` may stand."""
    keys = names(value)
    if empty := [key for key in keys if not _plain(key)]:
        raise ValueError(f"a list of names, and {empty[0]!r} has neither letters nor digits")
    return keys


def read_tasks(value: object) -> Mapping[str, TaskRule]:
    """Read a dict of names of tasks and what is masked of each."""
    if not isinstance(value, Mapping):
        raise ValueError("a dict of tasks and what is masked of each")  # noqa: TRY004 - a reader's
    rules = {}
    for task, masked in value.items():
        if not isinstance(task, str):
            raise ValueError(f"a dict of tasks, and {task!r} is no name of any")  # noqa: TRY004 - as above
        try:
            found = frozenset(FIELDS) if masked == ALL else frozenset(names(masked))
        except ValueError as error:
            raise ValueError(
                f"a dict of tasks, and {task!r} says neither {ALL!r} nor a list of names"
            ) from error
        rules[task] = TaskRule(found & set(FIELDS), found - set(FIELDS))
    return rules


class RedactOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["redact"]``."""

    plugin = "redact"
    check_prefix = "django_celery_results_redact"

    #: What stands in the place of a secret.
    mask: Option[str] = Option(text, default="********", check="E002")
    #: Names of what is secret; ``*`` and ``?`` may stand in them.
    keys: Option[Sequence[str]] = Option(read_keys, default=DEFAULT_KEYS, check="E003")
    #: Regular expressions of secrets; a group ``secret`` is the part that is masked.
    patterns: Option[Sequence[str]] = Option(read_patterns, default=DEFAULT_PATTERNS, check="E004")
    #: Whether the numbers of payment cards are masked.
    card_numbers: Option[bool] = Option(boolean, default=True, check="E005")
    #: What is masked of single tasks.
    tasks: Option[Mapping[str, TaskRule]] = Option(read_tasks, default={}, check="E006")


options = RedactOptions()


# -- What they say -------------------------------------------------------------------


def task_rule(task: str | None) -> TaskRule:
    """Return what the setting ``TASKS`` says of a task: all that matches its name together."""
    rule = TaskRule()
    for pattern, one in options.tasks.items():
        # A bracket is no wildcard here.
        if fnmatchcase(task or "", pattern.replace("[", "[[]")):
            rule |= one
    return rule


def is_secret_key(key: object, patterns: tuple[str, ...], names: frozenset[str]) -> bool:
    """Return whether what stands under ``key`` is secret."""
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if not isinstance(key, str):
        return False
    # What is longer than any name is not worth the memory.
    decide = _is_secret if len(key) <= LONGEST_NAME else _is_secret.__wrapped__
    return decide(key, patterns, names)


@lru_cache(maxsize=4096)
def _is_secret(key: str, patterns: tuple[str, ...], names: frozenset[str]) -> bool:
    return key in names or _any_of(patterns).match(_plain(key)) is not None


@lru_cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    # An empty alternative would match the empty name; this one matches nothing.
    return re.compile("|".join(translate(_plain(one)) for one in patterns) or "(?!)")


def _plain(name: str) -> str:
    """Return the letters and digits of a name, small, and what stands for others."""
    return re.sub(r"[^\w*?]|_", "", name.casefold())
