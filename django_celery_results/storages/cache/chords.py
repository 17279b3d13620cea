"""Chords under way in a Django cache: an atomic counter and a key for each part.

A part's key can be added only once, so each part counts once. The counter tells when it is
worth checking whether all keys exist. The claim's key can be added only once, so only one
caller sends the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import ceil
from operator import eq
from sys import maxsize
from typing import Any

from django.core.cache.backends.base import BaseCache

from ...conf import results_settings
from ...records import ChordPart, ChordProgress, ChordRecord, leaf_ids
from ...sql.transactions import outlast
from .writes import add_surely, cache_lock, set_surely

__all__ = ["CacheChords"]

#: The most keys to read in one round trip.
KEYS_AT_ONCE = 500


class CacheChords:
    """The chords under way in one cache."""

    def __init__(
        self,
        cache: BaseCache,
        timeout: float | None,
        chord_key: Callable[[str], str],
        using: str | None = None,
    ) -> None:
        self.cache = cache
        self.timeout = timeout
        self.chord_key = chord_key
        #: The alias of the database that the cache writes to; ``None`` for any other cache.
        self.using = using
        # BaseCache.incr reads and then writes, so two processes could count as one.
        self.counts = type(cache).incr is not BaseCache.incr

    def start(self, chord: ChordRecord, recount: Callable[[], object] | None = None) -> bool:
        """Add the chord; return False, and change nothing, if it already exists.

        ``recount`` is called later if parts may return before they can see the chord.
        """
        return self._outlast(partial(self._add, chord), recount, f"chord {chord.group_id}")

    def _outlast(
        self, write: Callable[[], bool], recount: Callable[[], object] | None, what: str
    ) -> bool:
        return write() if self.using is None else outlast(self.using, write, recount, what=what)

    def _add(self, chord: ChordRecord) -> bool:
        key = self.chord_key(chord.group_id)
        add_surely(self.cache, f"{key}.count", 0, self.timeout)
        value = {"size": chord.size, "results": list(chord.results)}
        return add_surely(self.cache, key, value, self.timeout)

    def resize(self, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
        """Set the size, or add results; return whether the chord changed."""
        write = partial(self._resize, group_id, size, added)
        return self._outlast(write, None, f"the size of chord {group_id}")

    def _resize(self, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
        key = self.chord_key(group_id)
        chord = self.cache.get(key)
        if chord is None or (not added and chord["size"] == size):
            return False
        with cache_lock(self.cache, key):
            chord = self.cache.get(key)
            if chord is None:
                return False
            size = (chord["size"] if size is None else size) + len(added)
            value = {"size": size, "results": [*chord["results"], *added]}
            return set_surely(self.cache, key, value, self.timeout, partial(eq, value))

    def part_returned(self, part: ChordPart) -> ChordProgress | None:
        """Count the part if it is new; claim the body if it was the last missing part."""
        key = self.chord_key(part.group_id)
        chord = self.cache.get(key)
        if chord is None:
            return None
        waiting = chord["size"] - self._count(key, part)
        if waiting > 0 and self.counts:
            return ChordProgress(group_id=part.group_id, waiting=waiting)
        if self._is_missing(key, chord["results"]):
            return ChordProgress(group_id=part.group_id, waiting=None)
        if not self._claim(key, part.claimant):
            return ChordProgress(group_id=part.group_id, waiting=0)
        if self.cache.get(key) is None:
            # Another process sent the body since we read the chord, and deleted its claim.
            self.cache.delete(f"{key}.claim")
            return None
        return ChordProgress(
            group_id=part.group_id,
            waiting=0,
            claimed=True,
            # An expired claim is gone from the cache; this key outlives it as a trace.
            reclaimed=not add_surely(self.cache, f"{key}.claimed", 1, self.timeout),
            results=chord["results"],
            parts=self._parts_with_contents(key, chord["results"]),
        )

    def _count(self, key: str, part: ChordPart) -> int:
        """Count the part if it is new; return how many parts have returned."""
        part_key = _part_key(key, part.task_id)
        is_new = add_surely(self.cache, part_key, (part, False), self.timeout)
        counted = False if is_new else self.cache.get(part_key, (part, False))[1]
        if not self.counts:
            return 0
        if counted:
            return int(self.cache.get(f"{key}.count") or 0)
        # If the worker dies before the second step, the part is counted again when it is
        # redelivered. The count is then one too high, and the keys are checked earlier; that
        # does no harm.
        try:
            count = self.cache.incr(f"{key}.count")
        except ValueError:
            # The counter is gone, with the chord or before it: check the keys of the parts.
            return maxsize
        self.cache.set(part_key, (part, True), self.timeout)
        return int(count)

    def _claim(self, key: str, claimant: str | None) -> bool:
        """Return whether this caller has the claim, perhaps since a try whose answer was lost."""
        timeout = ceil(results_settings.chord_claim_timeout)
        if add_surely(self.cache, f"{key}.claim", claimant or "", timeout):
            return True
        return claimant is not None and bool(self.cache.get(f"{key}.claim") == claimant)

    def _is_missing(self, key: str, results: Sequence[Any]) -> bool:
        """Return whether any part is missing.

        The check starts with the last parts, which usually return last, and ends at the
        first missing part, so most checks are short.
        """
        part_keys = [_part_key(key, task_id) for task_id in reversed(leaf_ids(results))]
        size = 1 if not self.counts else KEYS_AT_ONCE
        for start, end in _chunks(len(part_keys), size):
            chunk = part_keys[start:end]
            if len(self.cache.get_many(chunk)) < len(set(chunk)):
                return True
        return False

    def _parts_with_contents(self, key: str, results: Sequence[Any]) -> list[ChordPart]:
        part_keys = [_part_key(key, task_id) for task_id in leaf_ids(results)]
        found: list[ChordPart] = []
        for start, end in _chunks(len(part_keys), KEYS_AT_ONCE):
            values = self.cache.get_many(part_keys[start:end]).values()
            found += [part for part, _ in values if part.contents is not None]
        return found

    def finish(self, group_id: str) -> bool:
        """Delete the chord, its parts and its claim; return whether it existed."""
        key = self.chord_key(group_id)
        chord = self.cache.get(key)
        if chord is None:
            return False
        # The chord first, so that parts that return from now on find it finished.
        self.cache.delete(key)
        parts = [_part_key(key, task_id) for task_id in leaf_ids(chord["results"])]
        self.cache.delete_many([*parts, f"{key}.count", f"{key}.claim", f"{key}.claimed"])
        return True


def _part_key(key: str, task_id: str) -> str:
    return f"{key}.part.{task_id}"


def _chunks(length: int, first: int) -> list[tuple[int, int]]:
    """Return the bounds of chunks: ``first`` items, then twice as many each, up to KEYS_AT_ONCE."""
    bounds, start, size = [], 0, first
    while start < length:
        bounds.append((start, min(start + size, length)))
        start += size
        size = min(2 * size, KEYS_AT_ONCE)
    return bounds
