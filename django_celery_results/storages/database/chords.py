"""Chords under way in the database: a counter and its distinct parts."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from ...conf import results_settings
from ...records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Contents,
    UnfinishedChord,
    leaf_ids,
)
from ...sql.transactions import outlast
from .part_counting import count_quickly, part_columns
from .rows import require_id

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from ...models import ChordCounter

__all__ = ["DatabaseChords"]

#: Chords to delete in one transaction, each with all of its parts.
CHORDS_PER_DELETE = 100
#: Chords to read at a time, each with the ids of its header.
CHORDS_PER_PAGE = 50

logger = logging.getLogger(__name__)


class DatabaseChords:
    """The chords of one database: that of the alias, or else the routers' choice for writes."""

    def __init__(self, alias: str | None) -> None:
        self.counters = apps.get_model("django_celery_results", "ChordCounter")
        self.using = alias or router.db_for_write(self.counters)

    def start(self, chord: ChordRecord, recount: Callable[[], object] | None = None) -> bool:
        """Insert the counter; return False, and change nothing, if it already exists.

        ``recount`` is called later if parts may return before they can see the counter.
        """
        require_id(self.counters, "group_id", chord.group_id)
        what = f"chord {chord.group_id}"
        return outlast(self.using, partial(self._insert, chord), recount, what=what)

    def _insert(self, chord: ChordRecord) -> bool:
        columns = {"sub_tasks": _dumps(chord.results), "count": chord.size, "size": chord.size}
        if chord.body is not None:
            columns |= {
                "body": chord.body.fields["body"],
                "content_type": chord.body.content_type,
                "content_encoding": chord.body.content_encoding,
            }
        _, created = self.counters.objects.using(self.using).get_or_create(
            group_id=chord.group_id, defaults=columns
        )
        return bool(created)

    def resize(self, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
        """Set the size, or add results; return whether the counter changed."""
        if not added and self._has_size(group_id, size):
            return False
        what = f"the size of chord {group_id}"
        return outlast(self.using, partial(self._resize, group_id, size, added), what=what)

    def _resize(self, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
        with transaction.atomic(using=self.using):
            counter = self._locked(group_id)
            if counter is None:
                return False
            known = counter.count if counter.size is None else counter.size
            results = [*json.loads(counter.sub_tasks), *added]
            size = known if size is None else size
            # Celery's size leaves out the tasks that a header task added before Celery gave it.
            size = max(size + len(added), len(set(leaf_ids(results))))
            counter.count = max(0, counter.count + size - known)
            counter.size = size
            counter.sub_tasks = _dumps(results)
            counter.save(using=self.using, update_fields=["count", "size", "sub_tasks"])
        return True

    def _has_size(self, group_id: str, size: int | None) -> bool:
        """Return true only if the chord has that size, as nearly all have when Celery asks."""
        if connections[self.using].needs_rollback:
            return False  # The caller's transaction answers no queries.
        counters = self.counters.objects.using(self.using).filter(group_id=group_id, size=size)
        return bool(counters.exists())

    def part_returned(self, part: ChordPart) -> ChordProgress | None:
        """Count the part if it is new; claim the body if it was the last missing part."""
        if count_quickly(self.using, part):
            return ChordProgress(group_id=part.group_id, waiting=None)
        with transaction.atomic(using=self.using):
            counter = self._locked(part.group_id)
            if counter is None:
                return None
            self._count(counter, part)
            again = counter.date_claimed is not None
            if counter.count or not self._claim(counter, part.claimant):
                return ChordProgress(group_id=part.group_id, waiting=counter.count)
            # Within the transaction, so that an error here rolls the claim back.
            return ChordProgress(
                group_id=part.group_id,
                waiting=0,
                claimed=True,
                reclaimed=again,
                results=json.loads(counter.sub_tasks),
                parts=self._parts_with_contents(counter),
            )

    def _locked(self, group_id: str) -> ChordCounter | None:
        """Return the counter, locked until the transaction ends."""
        counters = self.counters.objects.using(self.using).filter(group_id=group_id)
        if not connections[self.using].features.has_select_for_update:
            # SQLite locks the whole file, at the first write. If the first statement were
            # a read, two transactions could wait for each other.
            counters.update(count=F("count"))
        counter: ChordCounter | None = counters.select_for_update().first()
        return counter

    def _count(self, counter: ChordCounter, part: ChordPart) -> None:
        parts = counter.parts.using(self.using)
        if parts.filter(task_id=part.task_id).exists():
            return
        parts.create(counter=counter, **part_columns(part))
        if counter.count:
            counter.count -= 1
            counter.save(using=self.using, update_fields=["count"])

    def _claim(self, counter: ChordCounter, claimant: str | None) -> bool:
        now = timezone.now()
        held = counter.date_claimed
        is_own = claimant is not None and counter.claimed_by == claimant
        timeout = timedelta(seconds=results_settings.chord_claim_timeout)
        if held is not None and held > now - timeout and not is_own:
            return False
        counter.date_claimed, counter.claimed_by = now, claimant
        counter.save(using=self.using, update_fields=["date_claimed", "claimed_by"])
        return True

    def _parts_with_contents(self, counter: ChordCounter) -> list[ChordPart]:
        rows = counter.parts.using(self.using).exclude(result=None)
        return [
            ChordPart(
                group_id=counter.group_id,
                task_id=row.task_id,
                status=row.status,
                group_index=row.group_index,
                contents=Contents(
                    fields={"result": row.result},
                    content_type=row.content_type,
                    content_encoding=row.content_encoding,
                ),
            )
            for row in rows
        ]

    def unfinished(self) -> Iterator[UnfinishedChord]:
        """Yield every chord that is under way, oldest first, a page at a time."""
        counters = self.counters.objects.using(self.using).order_by("pk")
        last = 0
        while page := list(counters.filter(pk__gt=last)[:CHORDS_PER_PAGE]):
            last = page[-1].pk
            counted = self._counted(page)
            for counter in page:
                try:
                    yield _unfinished(counter, counted[counter.pk])
                except ValueError:
                    logger.exception("The header of chord %s cannot be read", counter.group_id)

    def _counted(self, page: Iterable[ChordCounter]) -> dict[int, list[str]]:
        """Return the ids of the parts that have been counted, by counter."""
        parts = apps.get_model("django_celery_results", "ChordPart").objects.using(self.using)
        found: dict[int, list[str]] = defaultdict(list)
        rows = parts.filter(counter__in=[one.pk for one in page]).order_by("pk")
        for counter_id, task_id in rows.values_list("counter_id", "task_id"):
            found[counter_id].append(task_id)
        return found

    def finish(self, group_id: str) -> bool:
        """Delete the counter and its parts; return whether the counter existed."""
        counters = self.counters.objects.using(self.using).filter(group_id=group_id)
        return bool(counters.delete()[0])

    def begun(self, before: datetime) -> QuerySet[ChordCounter]:
        """Return the counters of the chords started before ``before``."""
        counters = self.counters.objects.using(self.using)
        begun: QuerySet[ChordCounter] = counters.filter(date_created__lt=before)
        return begun

    def expire(self, before: datetime) -> int:
        """Delete the chords started before ``before``; return the number of deleted rows."""
        counters = self.counters.objects.using(self.using)
        old = self.begun(before).values_list("pk", flat=True)
        deleted = 0
        while chunk := list(old[:CHORDS_PER_DELETE]):
            deleted += int(counters.filter(pk__in=chunk).delete()[0])
        return deleted + self._expire_orphans(before)

    def _expire_orphans(self, before: datetime) -> int:
        """Delete parts whose counter was deleted by a worker of 2.6, which does not know parts."""
        parts = apps.get_model("django_celery_results", "ChordPart").objects.using(self.using)
        counters = self.counters.objects.filter(pk=OuterRef("counter_id"))
        orphans = parts.filter(~Exists(counters), date_created__lt=before)
        deleted = 0
        while chunk := list(orphans.values_list("pk", flat=True)[:CHORDS_PER_DELETE]):
            deleted += int(parts.filter(pk__in=chunk).delete()[0])
        return deleted


def _unfinished(counter: ChordCounter, counted: Sequence[str]) -> UnfinishedChord:
    body = None
    if counter.body is not None:
        body = Contents(
            fields={"body": counter.body},
            content_type=counter.content_type or "",
            content_encoding=counter.content_encoding or "",
        )
    return UnfinishedChord(
        group_id=counter.group_id,
        results=json.loads(counter.sub_tasks),
        counted=counted,
        waiting=counter.count,
        body=body,
        date_created=counter.date_created,
        date_claimed=counter.date_claimed,
    )


def _dumps(results: Sequence[Any]) -> str:
    return json.dumps(results, default=str)
