"""Counting and deleting the rows that are due in the database."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from django.db.models import Count, Q
from django.utils import timezone

from ...conf import results_settings
from ...records import Expiry, ExpiryBatch
from ...sql.deletion import BatchDeletion
from .rows import group_from_row, task_from_row

if TYPE_CHECKING:
    from datetime import datetime

    from ...models import GroupResult, TaskResult
    from .storage import DatabaseStorage

__all__ = ["DatabaseExpiry", "TaskCriteria"]

#: The kind of record in a row that is due.
ExpiryKind = Literal["task", "group", "chord"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskCriteria:
    """Further conditions on tasks that are due; by default all of them meet the criteria."""

    #: The task must be in one of these states; empty: in any state.
    states: tuple[str, ...] = ()
    #: A pattern for the task's name, with ``*`` for any characters and ``?`` for one; empty: any.
    name: str = ""

    def __bool__(self) -> bool:
        """Return whether there are any conditions."""
        return bool(self.states or self.name)

    @property
    def condition(self) -> Q:
        """The criteria as a condition on rows."""
        in_state = Q(status__in=self.states) if self.states else Q()
        return in_state & (Q(task_name__regex=_regex(self.name)) if self.name else Q())


def _regex(glob: str) -> str:
    """Return the regular expression of a pattern, in the syntax that all databases share."""
    wildcards = {"*": ".*", "?": "."}
    return f"^{''.join(wildcards.get(one) or re.escape(one) for one in glob)}$"


class DatabaseExpiry:
    """The expiry of one database storage, as of the moment when this object is created."""

    def __init__(
        self, storage: DatabaseStorage, expiry: Expiry, criteria: TaskCriteria | None = None
    ) -> None:
        self.storage = storage
        self.expiry = expiry
        #: Whether only tasks are due: groups and chords have neither a state nor a name.
        self.tasks_alone = bool(criteria)
        condition = criteria.condition if criteria else Q()
        self.tasks = storage.tasks()
        self.groups = storage.groups()
        self.tasks_due = [
            replace(due, condition=due.condition & condition)
            for due in self.tasks.due(expiry.expires)
        ]
        self.groups_due = [] if self.tasks_alone else list(self.groups.due(expiry.expires))

    @cached_property
    def chords_before(self) -> datetime:
        """The date before which a chord was started if it is given up by now."""
        given_up = max(self.expiry.expires or 0, results_settings.expire_unfinished_after)
        return timezone.now() - timedelta(seconds=given_up)

    def count(self) -> Counter[tuple[ExpiryKind, str]]:
        """Return how many rows are due, by kind and state (``""`` for groups and chords)."""
        counts: Counter[tuple[ExpiryKind, str]] = Counter()
        tasks = self.tasks.using(self.tasks.write_alias()).order_by()
        for due in self.tasks_due:
            for state, rows in (
                tasks.filter(due.condition).values_list("status").annotate(Count("pk"))
            ):
                counts["task", state] += rows
        groups = self.groups.using(self.groups.write_alias())
        for due in self.groups_due:
            counts["group", ""] += groups.filter(due.condition).count()
        if not self.tasks_alone:
            counts["chord", ""] += self.storage.chords.begun(self.chords_before).count()
        return counts

    def delete(self) -> Iterator[tuple[ExpiryKind, int]]:
        """Delete the rows that are due; yield the kind and the number of rows of each batch."""
        to_task: BatchDeletion[TaskResult] = self._deletion("task", task_from_row)
        for deleted in self.tasks.delete_due(to_task, *self.tasks_due):
            yield "task", deleted
        to_group: BatchDeletion[GroupResult] = self._deletion("group", group_from_row)
        for deleted in self.groups.delete_due(to_group, *self.groups_due):
            yield "group", deleted
        if not self.tasks_alone:
            yield "chord", self.storage.chords.expire(self.chords_before)

    def _deletion(self, kind: Literal["task", "group"], to_record: Callable[[Any], Any]) -> Any:
        """Return the deletion of one kind of row, with the expiry's ``before`` and ``after``."""
        alias = (self.tasks if kind == "task" else self.groups).write_alias()

        def batch_of(rows: Sequence[Any]) -> ExpiryBatch:
            ids = [getattr(row, f"{kind}_id") for row in rows]
            records = [to_record(row) for row in rows]
            return ExpiryBatch(
                storage="django-db", kind=kind, ids=ids, records=records, using=alias
            )

        before, after = self.expiry.before, self.expiry.after
        return BatchDeletion(
            size=self.expiry.batch_size,
            pause=self.expiry.batch_pause,
            before=None if before is None else (lambda rows: before(batch_of(rows))),
            after=None if after is None else (lambda rows: after(batch_of(rows))),
            repeat=self.expiry.repeat,
        )
