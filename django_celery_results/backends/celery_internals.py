"""Everything that the package uses of Celery's private names, each with a way to do without.

- :func:`warn_if_eager` uses ``Backend._ensure_not_eager``. Without it, Celery's warning is absent.
- :func:`meta_cache` uses ``Backend._cache``. Without it, each call of ``get_many`` asks the
  storage again.
- :func:`is_set` uses ``Settings.maps`` and ``Settings.prefix``. Without them, it asks
  ``Settings.value_set_for``, which before Celery 5.7 misses settings that have a namespace.

The methods with an underscore in :mod:`django_celery_results.backends.base` are the ones that
Celery's own backends define too, except ``_ensure_retryable``. If Celery no longer calls it, the
limits that Celery sets to some retries are ignored.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

from ..utils import text_id

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

__all__ = ["is_set", "meta_cache", "warn_if_eager", "with_text_id"]


def warn_if_eager(backend: Any) -> None:
    """Warn, as Celery's backends do, if tasks run eagerly and their results are not stored."""
    warn = getattr(backend, "_ensure_not_eager", None)
    if warn is not None:
        warn()


def meta_cache(backend: Any) -> MutableMapping[str, dict[str, Any]]:
    """Return the metas that the backend has read before, by task id."""
    cache: MutableMapping[str, dict[str, Any]] | None = getattr(backend, "_cache", None)
    return {} if cache is None else cache


def is_set(conf: Any, name: str) -> bool:
    """Return whether the site gave the setting itself, even if it gave Celery's default."""
    maps = getattr(conf, "maps", None)
    if maps is None:
        return bool(conf.value_set_for(name))
    prefix = getattr(conf, "prefix", None) or ""
    own = name.upper() if prefix.isupper() else name
    names = (name, f"{prefix}{own}", f"CELERY_{name.upper()}")
    # The last mapping holds the defaults.
    return any(one in mapping for mapping in maps[:-1] for one in names)


def with_text_id(method: Callable[..., Any]) -> Any:
    """Return a method of Celery's that is called with the text of the id, its first argument."""
    name = method.__code__.co_varnames[1]

    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if args:
            return method(self, text_id(args[0]), *args[1:], **kwargs)
        return method(self, **{**kwargs, name: text_id(kwargs[name])})

    return call
