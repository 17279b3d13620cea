"""The rules for a task, a key and a text, read from the settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from functools import lru_cache

from django_celery_results.options import Option, PluginOptions, boolean, names, text

from .defaults import DEFAULT_KEYS, DEFAULT_PATTERNS

__all__ = ["ALL", "FIELDS", "RedactOptions", "TaskRule", "is_secret_key", "options", "task_rule"]

#: In the setting ``TASKS``: mask every field of the task.
ALL = "all"
#: The fields that can be masked as a whole.
FIELDS = ("args", "kwargs", "result", "traceback", "meta")
LONGEST_NAME = 200


@dataclass(frozen=True)
class TaskRule:
    """The fields and names to mask for one task, in addition to those masked for all tasks."""

    #: The fields that are masked as a whole.
    fields: frozenset[str] = frozenset()
    #: The arguments and keys that are secret in this task.
    names: frozenset[str] = frozenset()

    def __or__(self, other: TaskRule) -> TaskRule:
        return TaskRule(self.fields | other.fields, self.names | other.names)


# -- Reading the settings ------------------------------------------------------------


def read_patterns(value: object) -> tuple[str, ...]:
    """Read a list of regular expressions; raise ``ValueError`` with the reason if one is wrong."""
    patterns = names(value)
    for pattern in patterns:
        try:
            matches_nothing = re.compile(pattern).search("")
        except re.error as error:
            raise ValueError(
                f"a list of regular expressions, but {pattern!r} is not one: {error}"
            ) from error
        if matches_nothing:
            raise ValueError(
                "a list of regular expressions that do not match the empty string, but"
                f" {pattern!r} does"
            )
    return patterns


def read_keys(value: object) -> tuple[str, ...]:
    """Read a list of names, with ``*`` and ``?`` as wildcards."""
    keys = names(value)
    if empty := [key for key in keys if not _plain(key)]:
        raise ValueError(f"a list of names, but {empty[0]!r} has neither letters nor digits")
    return keys


def read_tasks(value: object) -> Mapping[str, TaskRule]:
    """Read a dict from the names of tasks to what is masked in each."""
    if not isinstance(value, Mapping):
        raise ValueError("a dict from task names to what is masked")  # noqa: TRY004 - a reader raises ValueError
    rules = {}
    for task, masked in value.items():
        if not isinstance(task, str):
            raise ValueError(f"a dict of task names, but {task!r} is not a string")  # noqa: TRY004 - as above
        try:
            found = frozenset(FIELDS) if masked == ALL else frozenset(names(masked))
        except ValueError as error:
            raise ValueError(
                f"a dict from task names to {ALL!r} or a list of names, but {task!r} has neither"
            ) from error
        rules[task] = TaskRule(found & set(FIELDS), found - set(FIELDS))
    return rules


class RedactOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["redact"]``."""

    plugin = "redact"
    check_prefix = "django_celery_results_redact"

    #: The text that replaces a secret.
    mask: Option[str] = Option(text, default="********", check="E002")
    #: Names of secrets, with ``*`` and ``?`` as wildcards.
    keys: Option[Sequence[str]] = Option(read_keys, default=DEFAULT_KEYS, check="E003")
    #: Regular expressions of secrets; with a group ``secret``, only that group is masked.
    patterns: Option[Sequence[str]] = Option(read_patterns, default=DEFAULT_PATTERNS, check="E004")
    #: Whether payment card numbers are masked.
    card_numbers: Option[bool] = Option(boolean, default=True, check="E005")
    #: What is masked in single tasks, by the task's name.
    tasks: Option[Mapping[str, TaskRule]] = Option(read_tasks, default={}, check="E006")


options = RedactOptions()


# -- Applying the settings -----------------------------------------------------------


def task_rule(task: str | None) -> TaskRule:
    """Return the rule of the setting ``TASKS`` for a task: all matching entries combined."""
    rule = TaskRule()
    for pattern, one in options.tasks.items():
        # fnmatch treats a bracket as a wildcard; here it stands for itself.
        if fnmatchcase(task or "", pattern.replace("[", "[[]")):
            rule |= one
    return rule


def is_secret_key(key: object, patterns: tuple[str, ...], names: frozenset[str]) -> bool:
    """Return whether a value under ``key`` is secret."""
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if not isinstance(key, str):
        return False
    # A key longer than any name is not worth the memory of the cache.
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
    """Return the letters, digits and wildcards of a name, in lower case."""
    return re.sub(r"[^\w*?]|_", "", name.casefold())
