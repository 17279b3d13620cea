"""``django-cache``: the result backend over one of Django's caches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from celery.backends.base import KeyValueStoreBackend
from celery.result import AsyncResult, GroupResult
from kombu.utils.encoding import bytes_to_str

from .. import former_names
from ..records import PYTHON_OBJECTS
from .base import ResultBackend
from .subclasses import remembered
from .translation import plain

if TYPE_CHECKING:
    from celery.app.task import Context
    from django.core.cache.backends.base import BaseCache

__all__ = ["CacheBackend"]

_STORAGE = (
    "wrap the hooks store_task and load_tasks in a plugin (hookimpl(wrapper=True)), or override "
    "the methods of a Django cache backend and name that in CACHES"
)
_CODING = "write a coding and name it in CODINGS"
REFUSED: Mapping[str, str] = {
    "get": _STORAGE,
    "mget": _STORAGE,
    "set": _STORAGE,
    "_set_with_state": _STORAGE,
    "delete": _STORAGE,
    "encode": _CODING,
    "decode": _CODING,
    "decode_result": _CODING,
    "_get_result_meta": "change the task in the hook before_store of a plugin",
    "cache_backend": "name the cache in CELERY_CACHE_BACKEND",
}


@remembered
class CacheBackend(ResultBackend, KeyValueStoreBackend):
    """Celery results in one of Django's caches.

    As in 2.6, values are stored as Python objects, which the cache itself pickles. With a
    ``serializer`` option in the URL, or with codings, encoded text is stored instead.
    """

    storage_name = "django-cache"
    #: Methods through which 2.6 stored, and what to write instead of an override.
    refused: ClassVar[Mapping[str, str]] = REFUSED
    supports_autoexpire = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: The serializer that a backend which stores text would use.
        self._text_serializer = self.serializer
        if self.content_serializer == PYTHON_OBJECTS:
            # Celery prepares exceptions for this serializer: with pickle they stay exceptions.
            self.serializer = "pickle"

    @property
    def content_serializer(self) -> str:
        """``python`` (values as they are) unless the URL or codings ask for text."""
        as_objects = self.named_serializer is None and not self.codings
        return PYTHON_OBJECTS if as_objects else self.serializer

    def prepare_value(self, result: Any) -> Any:
        """Return a result object in the form that it has over a backend which stores text."""
        if self._text_serializer != "pickle" and isinstance(result, (AsyncResult, GroupResult)):
            return plain(result.as_tuple())
        return result

    def storage_parameters(self) -> Mapping[str, Any]:
        """Return the cache alias that the settings name, and the functions that make keys."""
        return {
            "default_alias": self.app.conf.get("cache_backend"),
            "task_key": lambda task_id: bytes_to_str(self.get_key_for_task(task_id)),
            "group_key": lambda group_id: bytes_to_str(self.get_key_for_group(group_id)),
            "chord_key": lambda group_id: bytes_to_str(self.get_key_for_chord(group_id)),
        }

    def request_arguments(self, request: Context | None) -> tuple[Any, Any]:
        """Return the arguments themselves, because a cache can hold objects."""
        return getattr(request, "args", None), getattr(request, "kwargs", None)

    @property
    def cache_backend(self) -> BaseCache:
        """The Django cache that holds the results."""
        cache: BaseCache = self.storage.cache
        return cache

    def get(self, key: str | bytes) -> Any:
        """Return the cached value of ``key``, or ``None``."""
        return self.cache_backend.get(bytes_to_str(key))

    def set(self, key: str | bytes, value: Any) -> None:
        """Store ``value`` under ``key`` for as long as results are kept."""
        self.cache_backend.set(bytes_to_str(key), value, self.expires or None)

    def delete(self, key: str | bytes) -> None:
        """Delete the value of ``key``."""
        self.cache_backend.delete(bytes_to_str(key))


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
