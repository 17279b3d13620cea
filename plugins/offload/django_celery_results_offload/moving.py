"""Moving contents to blobs, when they are stored or later from their rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from .blobs import delete, save, section_of
from .options import options
from .outage import outage
from .pointers import CODING, content_of, pointers_in, to_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_celery_results.records import Contents
    from django_celery_results.storages.database import ContentRow, DatabaseContents

__all__ = ["Mover", "may_point", "moved"]

#: Rows in memory at a time: each may be large.
BATCH_SIZE = 10


def moved(storage: Any, task_id: str, contents: Contents) -> Contents:
    """Return the contents with the largest in blobs, until the rest is within the threshold.

    If the storage cannot be written to, log that and leave the remaining contents as they are.
    """
    alias, section, fields = options.storage, section_of(storage), dict(contents.fields)
    here = _here(contents)
    rest = sum(map(len, here.values()))
    for name in sorted(here, key=lambda name: len(here[name]), reverse=True):
        if rest <= options.threshold:
            break
        try:
            pointer = save(alias, section, task_id, name, here[name])
        except Exception as error:  # noqa: BLE001 - no error may lose the result
            outage.log(alias, error)
            break
        fields[name] = to_text(pointer.to_bytes())
        rest -= len(here[name])
    return replace(contents, fields=fields)


def _here(contents: Contents) -> dict[str, bytes]:
    """Return the contents that are in the row itself."""
    found = {name: content_of(text) for name, text in contents.fields.items()}
    return {name: content for name, content in found.items() if content is not None}


def may_point(_columns: Sequence[str]) -> Q:
    """Return the condition of the rows that the coding marks: they may point to blobs."""
    return Q(content_encoding__endswith=CODING)


@dataclass
class Mover:
    """Moves contents that stayed in the rows of a database, such as during an outage."""

    #: The answer of ``open_storage``.
    storage: Any
    contents: DatabaseContents
    #: Rows.
    moved: int = 0
    #: The number of rows of which nothing could be moved.
    stayed: int = 0

    def run(self) -> None:
        """Move the contents; workers may write meanwhile."""
        for batch in self.contents.batches(BATCH_SIZE):
            for row in batch:
                size = sum(map(len, _here(row.contents).values()))
                if row.kind == "task" and size > options.threshold:
                    self._move(row)

    def _move(self, row: ContentRow) -> None:
        changed = moved(self.storage, row.id, row.contents)
        mine = pointers_in(changed) - pointers_in(row.contents)
        if not mine:
            self.stayed += 1
        elif self.contents.replace([(row, changed)]):
            self.moved += 1
        else:
            # A worker has written the row meanwhile, so these blobs are not needed.
            delete(mine)
