"""Chords under way, in a Django cache: an atomic counter and a key for each part.

A part's key can be added only once, which makes the count distinct; the counter says
when it is worth looking whether all keys are there; the key of the claim can be added
only once, which lets one caller send the body.
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
from .writes import add_surely, cache_lock, set_surely

__all__ = ["CacheChords"]

#: Keys that are asked for in one round trip.
KEYS_AT_ONCE = 500


class CacheChords:
    """The chords in one cache."""

    def __init__(
        self, cache: BaseCache, timeout: float | None, chord_key: Callable[[str], str]
    ) -> None:
        self.cache = cache
        self.timeout = timeout
        self.chord_key = chord_key
        # BaseCache's own incr reads and then writes: two processes could both count one.
        self.counts = type(cache).incr is not BaseCache.incr

    def start(self, chord: ChordRecord) -> bool:
        """Add the chord; return False, and leave it alone, when it is there."""
        key = self.chord_key(chord.group_id)
        add_surely(self.cache, f"{key}.count", 0, self.timeout)
        value = {"size": chord.size, "results": list(chord.results)}
        return add_surely(self.cache, key, value, self.timeout)

    def resize(self, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
        """Set the size, or add results; return whether the chord changed."""
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
        """Count the part if it is new; claim the body when it was the last one missing."""
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
            # Somebody else sent the body since we read the chord, and has let go of the claim.
            self.cache.delete(f"{key}.claim")
            return None
        return ChordProgress(
            group_id=part.group_id,
            waiting=0,
            claimed=True,
            # That a claim lapsed is all that the cache knows of it; this key outlives it.
            reclaimed=not add_surely(self.cache, f"{key}.claimed", 1, self.timeout),
            results=chord["results"],
            parts=self._parts_with_contents(key, chord["results"]),
        )

    def _count(self, key: str, part: ChordPart) -> int:
        """Return how many parts have returned, this one included and counted once."""
        part_key = _part_key(key, part.task_id)
        is_new = add_surely(self.cache, part_key, (part, False), self.timeout)
        counted = False if is_new else self.cache.get(part_key, (part, False))[1]
        if not self.counts:
            return 0
        if counted:
            return int(self.cache.get(f"{key}.count") or 0)
        # Were the worker to die before the second step, the part would be counted again
        # when it is delivered again. That counts one too many, which only makes for an
        # earlier look at the keys.
        try:
            count = self.cache.incr(f"{key}.count")
        except ValueError:
            # The counter went, with the chord or before it: the keys of the parts will tell.
            return maxsize
        self.cache.set(part_key, (part, True), self.timeout)
        return int(count)

    def _claim(self, key: str, claimant: str | None) -> bool:
        """Return whether the claim is this caller's, now or by a try whose answer was lost."""
        timeout = ceil(results_settings.chord_claim_timeout)
        if add_surely(self.cache, f"{key}.claim", claimant or "", timeout):
            return True
        return claimant is not None and bool(self.cache.get(f"{key}.claim") == claimant)

    def _is_missing(self, key: str, results: Sequence[Any]) -> bool:
        """Return whether any part is missing.

        The last ones are looked at first, and the look ends where one is missing: the
        header's end is what returns last, so most looks are short.
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
        """Delete the chord, its parts and its claim; return whether it was there."""
        key = self.chord_key(group_id)
        chord = self.cache.get(key)
        if chord is None:
            return False
        # The chord first: what returns from now on finds that it is finished.
        self.cache.delete(key)
        parts = [_part_key(key, task_id) for task_id in leaf_ids(chord["results"])]
        self.cache.delete_many([*parts, f"{key}.count", f"{key}.claim", f"{key}.claimed"])
        return True


def _part_key(key: str, task_id: str) -> str:
    return f"{key}.part.{task_id}"


def _chunks(length: int, first: int) -> list[tuple[int, int]]:
    """Return the bounds of chunks of ``first`` items and then of ever more, up to KEYS_AT_ONCE."""
    bounds, start, size = [], 0, first
    while start < length:
        bounds.append((start, min(start + size, length)))
        start += size
        size = min(2 * size, KEYS_AT_ONCE)
    return bounds
