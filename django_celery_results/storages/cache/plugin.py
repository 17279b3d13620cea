"""The storage plugin ``django-cache``: results in one of Django's caches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from operator import is_not
from typing import TYPE_CHECKING, Any

from celery import states
from django.core.cache import caches
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's name for it
from django.db import router

from ... import hookimpl
from ...conf import CHECK_PREFIX, results_settings
from ...exceptions import BackendMisconfigured, StorageError
from ...options import require_known
from ...records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    StorageLocation,
    StoredGroup,
    StoredTask,
)
from .chords import CacheChords
from .errors import prepare_retry
from .metas import contents_from_dict, contents_to_dict, from_meta, to_meta
from .writes import cache_lock, set_surely

if TYPE_CHECKING:
    from django.core.cache.backends.base import BaseCache

__all__ = ["CacheStorage", "CacheStoragePlugin", "plugin"]

#: pymemcache's error for an item over the server's limit, and for other errors of the server.
TOO_LARGE = "MemcacheServerError"

DEFAULT_PARAMETERS: Mapping[str, Any] = {
    "default_alias": None,
    "task_key": "celery-task-meta-{}".format,
    "group_key": "celery-taskset-meta-{}".format,
    "chord_key": "chord-unlock-{}".format,
}


@dataclass(frozen=True)
class CacheStorage:
    """The target of a ``django-cache`` URL: a cache alias, and the functions that make its keys."""

    alias: str
    #: Seconds until a result expires; ``None``: never.
    timeout: float | None
    task_key: Callable[[str], str]
    group_key: Callable[[str], str]
    chord_key: Callable[[str], str]

    @property
    def cache(self) -> BaseCache:
        """The cache, through this thread's own connection."""
        return caches[self.alias]

    @property
    def using(self) -> str | None:
        """The alias of the database that the cache writes to; ``None`` for any other cache."""
        if not isinstance(self.cache, BaseDatabaseCache):
            return None
        # The cache itself asks the router in the same way.
        alias: str = router.db_for_write(self.cache.cache_model_class)
        return alias

    @property
    def place(self) -> str:
        """The alias of the cache, such as ``default-cache``."""
        return f"{self.alias}-cache"

    @property
    def chords(self) -> CacheChords:
        """The chords under way, in the same cache."""
        return CacheChords(self.cache, self.timeout, self.chord_key, self.using)


class CacheStoragePlugin:
    """The storage plugin ``django-cache``."""

    @hookimpl(trylast=True)
    def open_storage(self, location: StorageLocation) -> CacheStorage:
        """Return the cache that ``location`` or ``CELERY_CACHE_BACKEND`` names."""
        where = "the result backend URL"
        require_known("option", location.options, ["serializer"], where)
        if location.path:
            require_known("path", [location.path], (), where)
        parameters = {**DEFAULT_PARAMETERS, **location.parameters}
        default = parameters.pop("default_alias") or results_settings.cache_backend
        where = where if location.alias else "CELERY_CACHE_BACKEND"
        alias = location.alias or default
        require_known("cache alias", [alias], caches.settings, where)
        return CacheStorage(alias=alias, timeout=location.expires, **parameters)

    @hookimpl(trylast=True)
    def check_settings(self, location: StorageLocation | None) -> Iterator[CheckMessage]:
        """Warn of a cache that loses results by its nature or by its default."""
        if location is None or location.name != "django-cache":
            return
        try:
            alias = self.open_storage(location).alias
        except BackendMisconfigured:
            return  # The check of the backend's URL reports it.
        yield from _unsuitable_cache(alias, caches.settings[alias])

    @hookimpl(trylast=True)
    def store_task(self, storage: CacheStorage, task: StoredTask) -> bool:
        """Put the task into the cache, unless it is already stored as SUCCESS."""
        key, timeout = storage.task_key(task.task_id), _timeout(storage, task)
        if timeout is not None and timeout <= 0:
            return _drop(storage.cache, key, task)
        # A first write, the usual case, takes one round trip and no lock.
        with _size_limit(key):
            added = storage.cache.add(key, to_meta(task), timeout)
            return added or _replace(storage.cache, key, task, timeout)

    @hookimpl(trylast=True)
    def load_tasks(self, storage: CacheStorage, task_ids: Sequence[str]) -> list[StoredTask]:
        """Get the tasks from the cache, in one round trip."""
        found = storage.cache.get_many([storage.task_key(task_id) for task_id in task_ids])
        metas = ((task_id, found.get(storage.task_key(task_id))) for task_id in task_ids)
        return [from_meta(task_id, meta) for task_id, meta in metas if meta is not None]

    @hookimpl(trylast=True)
    def forget_task(self, storage: CacheStorage, task_id: str) -> bool:
        """Delete the task from the cache."""
        return storage.cache.delete(storage.task_key(task_id))

    @hookimpl(trylast=True)
    def save_group(self, storage: CacheStorage, group: StoredGroup) -> bool:
        """Put the group into the cache."""
        value = contents_to_dict(group.contents, group.contents.fields)
        key = storage.group_key(group.group_id)
        with _size_limit(key):
            # Only check that a value is there, because a cache may return tuples as lists.
            if not set_surely(storage.cache, key, value, storage.timeout, partial(is_not, None)):
                raise _not_kept(key)
        return True

    @hookimpl(trylast=True)
    def load_group(self, storage: CacheStorage, group_id: str) -> StoredGroup | None:
        """Get the group from the cache."""
        value = storage.cache.get(storage.group_key(group_id))
        if not value:
            return None
        return StoredGroup(group_id=group_id, contents=contents_from_dict(value))

    @hookimpl(trylast=True)
    def forget_group(self, storage: CacheStorage, group_id: str) -> bool:
        """Delete the group from the cache."""
        return storage.cache.delete(storage.group_key(group_id))

    @hookimpl(trylast=True)
    def start_chord(
        self, storage: CacheStorage, chord: ChordRecord, recount: Callable[[], None]
    ) -> bool:
        """Put the chord and its counter into the cache."""
        return storage.chords.start(chord, recount)

    @hookimpl(trylast=True)
    def resize_chord(
        self, storage: CacheStorage, group_id: str, size: int | None, added: Sequence[Any]
    ) -> bool:
        """Set the chord's size, or add results to it."""
        return storage.chords.resize(group_id, size, added)

    @hookimpl(trylast=True)
    def chord_part_returned(self, storage: CacheStorage, part: ChordPart) -> ChordProgress | None:
        """Count the part."""
        return storage.chords.part_returned(part)

    @hookimpl(trylast=True)
    def finish_chord(self, storage: CacheStorage, group_id: str) -> bool:
        """Delete the chord and its parts."""
        return storage.chords.finish(group_id)

    @hookimpl(trylast=True)
    def can_retry(self, storage: CacheStorage, error: Exception) -> bool:
        """Say yes to a temporary error; replace a client that has given up on its servers."""
        return prepare_retry(error, storage.alias)

    @hookimpl(trylast=True)
    def expire_results(self) -> int:
        """Do nothing, because the cache itself expires results."""
        return 0


plugin = CacheStoragePlugin()


def _unsuitable_cache(alias: str, options: Mapping[str, Any]) -> Iterator[CheckMessage]:
    kind = options["BACKEND"].rpartition(".")[2]
    if kind in {"LocMemCache", "DummyCache"}:
        yield Warning(
            f"The result backend keeps results in the cache {alias!r}, a {kind}: what a worker "
            "stores there, no other process sees.",
            hint="Use a cache that processes share, such as Redis or Memcached.",
            id=f"{CHECK_PREFIX}.W003",
        )
    says_max_entries = "MAX_ENTRIES" in {**options, **options.get("OPTIONS", {})}
    if kind in {"DatabaseCache", "FileBasedCache"} and not says_max_entries:
        yield Warning(
            f"The result backend keeps results in the cache {alias!r}, a {kind}, which deletes "
            "entries that have not expired when it has more than 300 of them.",
            hint="Set MAX_ENTRIES in the cache's OPTIONS to more results than are ever kept.",
            id=f"{CHECK_PREFIX}.W004",
        )


def _timeout(storage: CacheStorage, task: StoredTask) -> float | None:
    """Return the whole seconds until the task expires, ``None`` for never."""
    seconds = storage.timeout if task.retention is None else task.retention.seconds
    # Redis and Memcached drop fractions, so half a second would become zero.
    return None if seconds is None else ceil(seconds)


@contextmanager
def _size_limit(key: str) -> Iterator[None]:
    """Raise an error that names the result if the server finds it too large."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ == TOO_LARGE:
            raise _not_kept(key) from error
        raise


def _replace(cache: BaseCache, key: str, task: StoredTask, timeout: float | None) -> bool:
    """Overwrite the value under ``key`` unless the rule keeps it; a lock excludes others."""
    with cache_lock(cache, key):
        present = cache.get(key)
        if present is None:
            # The first add may have failed, or the key may have expired since. Another add
            # can still win here, and may bring a SUCCESS.
            if cache.add(key, to_meta(task), timeout):
                return True
            present = cache.get(key)
        if _stays(present, task):
            return False
        value = to_meta(task.with_known(from_meta(task.task_id, present)))
        if not set_surely(cache, key, value, timeout, partial(_is_written, value)):
            raise _not_kept(key)
    return True


def _drop(cache: BaseCache, key: str, task: StoredTask) -> bool:
    """Delete the value that ``task`` replaces: ``task`` itself expires at once."""
    with cache_lock(cache, key):
        if _stays(cache.get(key), task):
            return False
        cache.delete(key)
    return True


def _is_written(value: Mapping[str, Any], present: Any) -> bool:
    return isinstance(present, Mapping) and present.get("status") == value["status"]


def _stays(present: Any, task: StoredTask) -> bool:
    """Return whether the cached value stays: SUCCESS is final, an empty PENDING says nothing."""
    if not isinstance(present, Mapping):
        return False
    return task.only_if_absent or present.get("status") == states.SUCCESS


def _not_kept(key: str) -> StorageError:
    return StorageError(
        f"The cache did not keep the result under {key!r}; it may be larger than "
        "the cache's limit for one item"
    )
