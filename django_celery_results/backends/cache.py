"""``django-cache``: results in a Django cache. The backend, and its storage plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from operator import is_not
from typing import TYPE_CHECKING, Any

from celery import states
from celery.backends.base import KeyValueStoreBackend
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.utils.dateparse import parse_datetime
from kombu.utils.encoding import bytes_to_str

from .. import hookimpl
from ..codec import PYTHON_CONTENT_TYPE, PYTHON_OBJECTS
from ..exceptions import StorageError
from ..records import (
    ChordPart,
    ChordProgress,
    ChordRecord,
    Contents,
    StorageLocation,
    StoredGroup,
    StoredTask,
)
from .base import ResultBackend
from .cache_chords import CacheChords
from .cache_errors import prepare_retry
from .cache_lock import cache_lock
from .cache_writes import set_surely
from .location import require_known

if TYPE_CHECKING:
    from celery.app.task import Context
    from django.core.cache.backends.base import BaseCache

__all__ = ["CacheBackend", "CacheStorage", "CacheStoragePlugin", "plugin"]


class CacheBackend(ResultBackend, KeyValueStoreBackend):
    """Celery results in one of Django's caches.

    Values are kept as Python objects, which the cache itself pickles, as 2.6 did; a
    ``serializer`` option in the URL, or codings, store encoded text instead.
    """

    storage_name = "django-cache"
    supports_autoexpire = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.content_serializer == PYTHON_OBJECTS:
            # Celery asks this one how to prepare exceptions: they stay exceptions.
            self.serializer = "pickle"

    @property
    def content_serializer(self) -> str:
        """``python`` (values as they are) unless the URL or codings ask for text."""
        as_objects = self.named_serializer is None and not self.codings
        return PYTHON_OBJECTS if as_objects else self.serializer

    def storage_parameters(self) -> Mapping[str, Any]:
        """Return the cache that the settings name, and how keys are made."""
        return {
            "default_alias": self.app.conf.get("cache_backend") or DEFAULT_CACHE_ALIAS,
            "task_key": lambda task_id: bytes_to_str(self.get_key_for_task(task_id)),
            "group_key": lambda group_id: bytes_to_str(self.get_key_for_group(group_id)),
            "chord_key": lambda group_id: bytes_to_str(self.get_key_for_chord(group_id)),
        }

    def request_arguments(self, request: Context | None) -> tuple[Any, Any]:
        """Return the arguments themselves: objects can be kept."""
        return getattr(request, "args", None), getattr(request, "kwargs", None)

    @property
    def cache_backend(self) -> BaseCache:
        """The Django cache that holds the results."""
        cache: BaseCache = self.storage.cache
        return cache

    def get(self, key: str | bytes) -> Any:
        """Return what the cache has under ``key``, or ``None``."""
        return self.cache_backend.get(bytes_to_str(key))

    def set(self, key: str | bytes, value: Any) -> None:
        """Put ``value`` under ``key`` for as long as results are kept."""
        self.cache_backend.set(bytes_to_str(key), value, self.expires or None)

    def delete(self, key: str | bytes) -> None:
        """Delete what is under ``key``."""
        self.cache_backend.delete(bytes_to_str(key))


@dataclass(frozen=True)
class CacheStorage:
    """Where a ``django-cache`` URL points: a cache alias, and the keys of results in it."""

    alias: str
    #: Seconds until a result expires; ``None``: never.
    timeout: float | None
    task_key: Callable[[str], str]
    group_key: Callable[[str], str]
    chord_key: Callable[[str], str]

    @property
    def cache(self) -> BaseCache:
        """The cache, this thread's own connection to it."""
        return caches[self.alias]

    @property
    def chords(self) -> CacheChords:
        """The chords under way, in the same cache."""
        return CacheChords(self.cache, self.timeout, self.chord_key)


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
        default = parameters.pop("default_alias")
        where = where if location.alias else "CELERY_CACHE_BACKEND"
        alias = location.alias or default
        require_known("cache alias", [alias], caches.settings, where)
        return CacheStorage(alias=alias, timeout=location.expires, **parameters)

    @hookimpl(trylast=True)
    def store_task(self, storage: CacheStorage, task: StoredTask) -> bool:
        """Put the task into the cache, unless it is there as a SUCCESS already."""
        key, timeout = storage.task_key(task.task_id), _timeout(storage, task)
        value = _to_meta(task)
        if timeout is not None and timeout <= 0:
            return _drop(storage.cache, key, value)
        # The usual case, nothing there yet, takes one round trip and no lock.
        with _size_limit(key):
            return storage.cache.add(key, value, timeout) or _replace(
                storage.cache, key, value, timeout
            )

    @hookimpl(trylast=True)
    def load_tasks(self, storage: CacheStorage, task_ids: Sequence[str]) -> list[StoredTask]:
        """Get the tasks from the cache, in one round trip."""
        found = storage.cache.get_many([storage.task_key(task_id) for task_id in task_ids])
        metas = ((task_id, found.get(storage.task_key(task_id))) for task_id in task_ids)
        return [_from_meta(task_id, meta) for task_id, meta in metas if meta is not None]

    @hookimpl(trylast=True)
    def forget_task(self, storage: CacheStorage, task_id: str) -> bool:
        """Delete the task from the cache."""
        return storage.cache.delete(storage.task_key(task_id))

    @hookimpl(trylast=True)
    def save_group(self, storage: CacheStorage, group: StoredGroup) -> bool:
        """Put the group into the cache."""
        value = _contents_to_dict(group.contents, group.contents.fields)
        key = storage.group_key(group.group_id)
        with _size_limit(key):
            # That something is there: a cache may give tuples back as lists.
            if not set_surely(storage.cache, key, value, storage.timeout, partial(is_not, None)):
                raise _not_kept(key)
        return True

    @hookimpl(trylast=True)
    def load_group(self, storage: CacheStorage, group_id: str) -> StoredGroup | None:
        """Get the group from the cache."""
        value = storage.cache.get(storage.group_key(group_id))
        if not value:
            return None
        return StoredGroup(group_id=group_id, contents=_contents_from_dict(value))

    @hookimpl(trylast=True)
    def forget_group(self, storage: CacheStorage, group_id: str) -> bool:
        """Delete the group from the cache."""
        return storage.cache.delete(storage.group_key(group_id))

    @hookimpl(trylast=True)
    def start_chord(self, storage: CacheStorage, chord: ChordRecord) -> bool:
        """Put the chord and its counter into the cache."""
        return storage.chords.start(chord)

    @hookimpl(trylast=True)
    def resize_chord(
        self, storage: CacheStorage, group_id: str, size: int | None, added: Sequence[Any]
    ) -> bool:
        """Correct the chord."""
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
        """Say yes to what may pass; a client that has given its servers up is replaced."""
        return prepare_retry(error, storage.alias)

    @hookimpl(trylast=True)
    def expire_results(self) -> int:
        """Do nothing: the cache lets results expire by itself."""
        return 0


plugin = CacheStoragePlugin()

#: pymemcache's error for an item over the server's limit, among other troubles of the server.
TOO_LARGE = "MemcacheServerError"

DEFAULT_PARAMETERS: Mapping[str, Any] = {
    "default_alias": DEFAULT_CACHE_ALIAS,
    "task_key": "celery-task-meta-{}".format,
    "group_key": "celery-taskset-meta-{}".format,
    "chord_key": "chord-unlock-{}".format,
}


def _timeout(storage: CacheStorage, task: StoredTask) -> float | None:
    """Return the whole seconds until the task expires, ``None`` for never."""
    seconds = storage.timeout if task.retention is None else task.retention.seconds
    # Redis and Memcached cut fractions off, and half a second would be none.
    return None if seconds is None else ceil(seconds)


@contextmanager
def _size_limit(key: str) -> Iterator[None]:
    """Say which result it was when the server finds one too large."""
    try:
        yield
    except Exception as error:
        if type(error).__name__ == TOO_LARGE:
            raise _not_kept(key) from error
        raise


def _replace(cache: BaseCache, key: str, value: Mapping[str, Any], timeout: float | None) -> bool:
    """Overwrite what is under ``key`` if that may be; no other writer comes between."""
    with cache_lock(cache, key):
        present = cache.get(key)
        if present is None:
            # It went since, or never came: whoever adds it now may have a SUCCESS.
            if cache.add(key, value, timeout):
                return True
            present = cache.get(key)
        if _stays(present, value):
            return False
        value = _with_known(present, value)
        if not set_surely(cache, key, value, timeout, partial(_is_written, value)):
            raise _not_kept(key)
    return True


def _drop(cache: BaseCache, key: str, value: Mapping[str, Any]) -> bool:
    """Delete what ``value`` would have replaced: it expires as soon as it is stored."""
    with cache_lock(cache, key):
        if _stays(cache.get(key), value):
            return False
        cache.delete(key)
    return True


def _with_known(present: Any, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``value`` with the name, the arguments and so on that ``present`` alone knows."""
    if not isinstance(present, Mapping):
        return value
    known = {name: present[name] for name in KNOWN if present.get(name) is not None}
    merged = {**known, **value}
    # Contents that were encoded otherwise could not be told apart.
    if value.keys() >= CODED and all(present.get(one) == value[one] for one in CODED_ALIKE):
        fields = {name: one for name, one in value["contents"].items() if one is not None}
        merged["contents"] = {**value["contents"], **_arguments(present["contents"]), **fields}
    return merged


def _arguments(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields.get(name) for name in ARGUMENTS}


def _is_written(value: Mapping[str, Any], present: Any) -> bool:
    return isinstance(present, Mapping) and present.get("status") == value["status"]


def _stays(present: Any, value: Mapping[str, Any]) -> bool:
    if not isinstance(present, Mapping):
        return False
    return value["status"] == states.PENDING or present.get("status") == states.SUCCESS


def _not_kept(key: str) -> StorageError:
    return StorageError(
        f"The cache did not keep the result under {key!r}; it may be larger than "
        "the cache's limit for one item"
    )


# -- Records and what stands in the cache --------------------------------------------
#
# Under a task's key stands a dict with the names that Celery gives to a task's meta,
# which is also what 2.6 wrote and reads. Where contents are encoded they stand apart,
# under "contents", with what is needed to read them.

FACTS = ("task_id", "status", "name", "worker", "periodic_task_name", "retries", "queue")
MEMBERSHIP = ("group_id", "parent_id")
ARGUMENTS = ("args", "kwargs")
VALUES = ("result", "traceback", *ARGUMENTS)
#: What a later state that does not say it leaves as it was.
KNOWN = ("name", "worker", "periodic_task_name", *ARGUMENTS)
#: The keys that tell encoded contents from a meta of Celery's own.
CODED = frozenset({"contents", "content_type", "content_encoding"})
CODED_ALIKE = ("content_type", "content_encoding")
#: The content type of what is no dict at all.
UNKNOWN = "application/x-unknown"


def _to_meta(task: StoredTask) -> dict[str, Any]:
    contents = task.contents
    facts = {name: getattr(task, name) for name in (*FACTS, *MEMBERSHIP)}
    meta = {name: value for name, value in facts.items() if value is not None}
    meta["date_done"] = task.date_done.isoformat() if task.date_done else None
    if task.stamps:
        # First, so that a stamp named "status" hides nothing.
        meta = {**task.stamps, "stamped_headers": list(task.stamps), **meta}
    fields = dict(contents.fields)
    if contents.content_type == PYTHON_CONTENT_TYPE:
        # What the task itself put into its meta must not hide its state.
        meta = {**(fields.pop("meta") or {}), **meta}
        extended = {name: fields.pop(name) for name in ARGUMENTS}
        meta |= {name: value for name, value in extended.items() if value is not None}
    return {**meta, **_contents_to_dict(contents, fields)}


def _from_meta(task_id: str, meta: Any) -> StoredTask:
    if not isinstance(meta, Mapping):
        # Final, so that nobody waits for it, and unreadable by whoever asks for it.
        unknown = Contents(
            fields={"result": repr(meta)}, content_type=UNKNOWN, content_encoding="binary"
        )
        return StoredTask(task_id=task_id, status=states.FAILURE, contents=unknown)
    rest = dict(meta)
    facts = {name: rest.pop(name, None) for name in (*FACTS, *MEMBERSHIP)}
    facts |= {"task_id": task_id, "date_done": _parsed(rest.pop("date_done", None))}
    stamped = rest.pop("stamped_headers", None) or ()
    facts["stamps"] = {name: rest.pop(name) for name in stamped if name in rest} or None
    if rest.keys() >= CODED:
        contents = _contents_from_dict(rest)
    else:
        fields = {name: rest.pop(name, None) for name in VALUES}
        contents = _objects({**fields, "meta": rest})
    return StoredTask(**facts, contents=contents)


def _parsed(date: Any) -> Any:
    return parse_datetime(date) if isinstance(date, str) else date


def _objects(fields: Mapping[str, Any]) -> Contents:
    return Contents(fields=fields, content_type=PYTHON_CONTENT_TYPE, content_encoding="binary")


def _contents_to_dict(contents: Contents, fields: Mapping[str, Any]) -> dict[str, Any]:
    if contents.content_type == PYTHON_CONTENT_TYPE:
        return dict(fields)
    return {
        "contents": dict(fields),
        "content_type": contents.content_type,
        "content_encoding": contents.content_encoding,
    }


def _contents_from_dict(value: Mapping[str, Any]) -> Contents:
    if not value.keys() >= CODED:
        return _objects(value)
    return Contents(
        fields=value["contents"],
        content_type=value["content_type"],
        content_encoding=value["content_encoding"],
    )
