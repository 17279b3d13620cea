"""Writes that a cache refuses silently are tried again, or are an error."""

from __future__ import annotations

from functools import partial
from operator import eq
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache.backends.locmem import LocMemCache

from django_celery_results.exceptions import StorageError
from django_celery_results.records import ChordPart, ChordRecord, Contents, StoredGroup
from django_celery_results.storages.cache import writes as cache_writes
from django_celery_results.storages.cache.chords import CacheChords
from django_celery_results.storages.cache.plugin import DEFAULT_PARAMETERS, CacheStorage, plugin
from django_celery_results.storages.cache.writes import add_surely, set_surely

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache


class ForgetfulCache(LocMemCache):
    """A cache that drops the first writes to each key, as Django's database cache may do."""

    def __init__(self, drops: int) -> None:
        super().__init__("forgetful", {})
        self.clear()
        self.drops = drops
        self.tries: dict[str, int] = {}

    def _drops(self, key: str) -> bool:
        self.tries[key] = self.tries.get(key, 0) + 1
        return self.tries[key] <= self.drops

    def add(self, key: str, *arguments: Any, **options: Any) -> bool:
        """Add, or return False as if the key existed, although it does not."""
        return not self._drops(key) and super().add(key, *arguments, **options)

    def set(self, key: str, *arguments: Any, **options: Any) -> None:
        """Set, or silently do nothing."""
        if not self._drops(key):
            super().set(key, *arguments, **options)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tries follow one another at once."""
    monkeypatch.setattr(cache_writes, "PAUSES", (0.0,) * 4)


@pytest.mark.parametrize(("drops", "tries"), [(0, 1), (1, 2), (3, 4)])
def test_an_add_is_tried_until_the_key_is_there(drops: int, tries: int) -> None:
    cache = ForgetfulCache(drops)
    assert add_surely(cache, "key", "value", None)
    assert ("value", tries) == (cache.get("key"), cache.tries["key"])


def test_an_add_of_what_is_there_is_not_tried_again() -> None:
    """The value that came first stays."""
    cache = ForgetfulCache(0)
    add_surely(cache, "key", "first", None)
    assert not add_surely(cache, "key", "second", None)
    assert "first" == cache.get("key")


def test_an_add_that_is_never_kept_is_an_error() -> None:
    """The error names the key."""
    with pytest.raises(StorageError, match="does not keep 'key'"):
        add_surely(ForgetfulCache(99), "key", "value", None)


@pytest.mark.parametrize(("drops", "written"), [(0, True), (3, True), (99, False)])
def test_a_set_is_tried_until_it_can_be_read(drops: int, written: bool) -> None:
    """It returns whether the value was written in the end."""
    cache = ForgetfulCache(drops)
    assert written == set_surely(cache, "key", "value", None, partial(eq, "value"))


def test_a_chord_survives_a_cache_that_drops_writes() -> None:
    chords = CacheChords(ForgetfulCache(1), None, "chord-{}".format)
    results = [[[one, None], None] for one in ("a", "b")]
    chords.start(ChordRecord(group_id="g", size=2, results=results))
    parts = [ChordPart(group_id="g", task_id=one, status="SUCCESS") for one in ("a", "b", "b")]
    progress = [chords.part_returned(part) for part in parts]
    assert [False, True, False] == [one is not None and one.claimed for one in progress]


def test_a_part_that_comes_while_the_chord_is_finished_claims_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It reads the chord before the end, and adds its claim after it."""
    chords = CacheChords(LocMemCache("finished", {}), None, "chord-{}".format)
    chords.start(ChordRecord(group_id="g", size=1, results=[[["a", None], None]]))
    part = ChordPart(group_id="g", task_id="a", status="SUCCESS")

    def is_missing(*_arguments: Any) -> bool:
        chords.finish("g")
        return False

    monkeypatch.setattr(chords, "_is_missing", is_missing)
    assert chords.part_returned(part) is None
    assert chords.cache.get("chord-g.claim") is None


def test_without_its_counter_a_chord_checks_its_parts() -> None:
    """An evicted counter must not stop the chord."""
    chords = CacheChords(LocMemCache("evicted", {}), None, "chord-{}".format)
    chords.start(ChordRecord(group_id="g", size=1, results=[[["a", None], None]]))
    chords.cache.delete("chord-g.count")
    progress = chords.part_returned(ChordPart(group_id="g", task_id="a", status="SUCCESS"))
    assert progress is not None
    assert progress.claimed


def test_a_saved_group_is_written_until_it_is_there() -> None:
    """Otherwise restoring a group that was silently dropped would return nothing."""
    storage = storage_in(ForgetfulCache(2))
    group = StoredGroup(group_id="g1", contents=Contents(**GROUP))
    assert plugin.save_group(storage, group)
    assert group == plugin.load_group(storage, "g1")


def test_a_group_that_is_never_kept_is_an_error() -> None:
    """The error names the key."""
    group = StoredGroup(group_id="g1", contents=Contents(**GROUP))
    with pytest.raises(StorageError, match="celery-taskset-meta-g1"):
        plugin.save_group(storage_in(ForgetfulCache(99)), group)


GROUP: dict[str, Any] = {
    "fields": {"result": '[["g1", null], []]'},
    "content_type": "application/json",
    "content_encoding": "utf-8",
}


def storage_in(cache: ForgetfulCache) -> Any:
    """Return the storage that the plugin would open, on that cache."""
    keys = {name: value for name, value in DEFAULT_PARAMETERS.items() if name != "default_alias"}

    class Storage(CacheStorage):
        @property
        def cache(self) -> BaseCache:
            return cache

    return Storage(alias="default", timeout=None, **keys)
