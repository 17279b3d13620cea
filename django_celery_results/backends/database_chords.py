"""Chords under way, in the database: a counter and its distinct parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections, router, transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from ..records import ChordPart, ChordProgress, ChordRecord, Contents, leaf_ids
from .columns import require_length

if TYPE_CHECKING:
    from ..models import ChordCounter

__all__ = ["CLAIM_TIMEOUT", "DatabaseChords"]

#: Age at which the claim of a worker that never finished may be given to another.
CLAIM_TIMEOUT = timedelta(minutes=5)
#: Chords that one transaction deletes, each with all of its parts.
EXPIRE_CHUNK = 100


class DatabaseChords:
    """The chords on one database; writes and locks all go where the routers write."""

    def __init__(self, alias: str | None) -> None:
        self.counters = apps.get_model("django_celery_results", "ChordCounter")
        self.using = alias or router.db_for_write(self.counters)

    def start(self, chord: ChordRecord) -> bool:
        """Insert the counter; return False, and leave it alone, when there is one."""
        require_length(self.counters, "group_id", chord.group_id)
        _, created = self.counters.objects.using(self.using).get_or_create(
            group_id=chord.group_id,
            defaults={
                "sub_tasks": _dumps(chord.results),
                "count": chord.size,
                "size": chord.size,
            },
        )
        return bool(created)

    def resize(self, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
        """Set the size, or add results; return whether the counter changed."""
        if not added and not self._has_other_size(group_id, size):
            return False
        with transaction.atomic(using=self.using):
            counter = self._locked(group_id)
            if counter is None:
                return False
            known = counter.count if counter.size is None else counter.size
            results = [*json.loads(counter.sub_tasks), *added]
            size = known if size is None else size
            # What a header task added before Celery said the size is not part of that.
            size = max(size + len(added), len(set(leaf_ids(results))))
            counter.count = max(0, counter.count + size - known)
            counter.size = size
            counter.sub_tasks = _dumps(results)
            counter.save(using=self.using, update_fields=["count", "size", "sub_tasks"])
        return True

    def _has_other_size(self, group_id: str, size: int | None) -> bool:
        counters = self.counters.objects.using(self.using).filter(group_id=group_id)
        return bool(counters.exclude(size=size).exists())

    def part_returned(self, part: ChordPart) -> ChordProgress | None:
        """Count the part if it is new; claim the body when it was the last one missing."""
        with transaction.atomic(using=self.using):
            counter = self._locked(part.group_id)
            if counter is None:
                return None
            if not counter.parts.using(self.using).filter(task_id=part.task_id).exists():
                self._count(counter, part)
            if counter.count or not self._claim(counter):
                return ChordProgress(group_id=part.group_id, waiting=counter.count)
            # Within the transaction: what fails here takes the claim back with it.
            return ChordProgress(
                group_id=part.group_id,
                waiting=0,
                claimed=True,
                results=json.loads(counter.sub_tasks),
                parts=self._parts_with_contents(counter),
            )

    def _locked(self, group_id: str) -> ChordCounter | None:
        """Return the counter, locked until the transaction ends."""
        counters = self.counters.objects.using(self.using).filter(group_id=group_id)
        if not connections[self.using].features.has_select_for_update:
            # SQLite locks the whole file, at the first write. Were the first statement
            # a read, two transactions could both wait for the other to end.
            counters.update(count=F("count"))
        counter: ChordCounter | None = counters.select_for_update().first()
        return counter

    def _count(self, counter: ChordCounter, part: ChordPart) -> None:
        contents = part.contents
        counter.parts.using(self.using).create(
            counter=counter,
            task_id=part.task_id,
            group_index=part.group_index,
            status=part.status,
            content_type=contents.content_type if contents else "",
            content_encoding=contents.content_encoding if contents else "",
            result=contents.fields["result"] if contents else None,
        )
        if counter.count:
            counter.count -= 1
            counter.save(using=self.using, update_fields=["count"])

    def _claim(self, counter: ChordCounter) -> bool:
        now = timezone.now()
        if counter.date_claimed is not None and counter.date_claimed > now - CLAIM_TIMEOUT:
            return False
        counter.date_claimed = now
        counter.save(using=self.using, update_fields=["date_claimed"])
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

    def finish(self, group_id: str) -> bool:
        """Delete the counter and its parts; return whether there was one."""
        counters = self.counters.objects.using(self.using).filter(group_id=group_id)
        return bool(counters.delete()[0])

    def expire(self, before: datetime) -> int:
        """Delete the chords that were started before then; return how many rows went."""
        counters = self.counters.objects.using(self.using)
        old = counters.filter(date_created__lt=before).values_list("pk", flat=True)
        deleted = 0
        while chunk := list(old[:EXPIRE_CHUNK]):
            deleted += int(counters.filter(pk__in=chunk).delete()[0])
        return deleted + self._expire_orphans(before)

    def _expire_orphans(self, before: datetime) -> int:
        """Delete parts whose counter a worker of 2.6, which knows no parts, has deleted."""
        parts = apps.get_model("django_celery_results", "ChordPart").objects.using(self.using)
        counters = self.counters.objects.filter(pk=OuterRef("counter_id"))
        orphans = parts.filter(~Exists(counters), date_created__lt=before)
        deleted = 0
        while chunk := list(orphans.values_list("pk", flat=True)[:EXPIRE_CHUNK]):
            deleted += int(parts.filter(pk__in=chunk).delete()[0])
        return deleted


def _dumps(results: Sequence[Any]) -> str:
    return json.dumps(results, default=str)
