"""Temporary errors of a cache, recognized by the names of their classes.

Classes are compared by name because redis-py and pymemcache may not be installed. Some do not
derive from Python's own: redis-py's ``TimeoutError`` is not the built-in one.

Django does not document how to replace a cache's client: ``del caches[alias]``. Without it, the
same client is used again, and pymemcache's client refuses calls for a while.
"""

from __future__ import annotations

from contextlib import suppress

from django.core.cache import caches
from django.db import Error

from ...logs import annotate
from ...sql import errors as database_retry

__all__ = ["PASSING", "PERMANENT", "prepare_retry"]

#: redis-py's ``redis.exceptions`` and pymemcache's ``pymemcache.exceptions``.
PASSING = frozenset(
    {
        "ConnectionError",  # Python's and redis-py's: also "max number of clients reached"
        "TimeoutError",  # Python's and redis-py's
        "gaierror",  # Python's: the name of the host cannot be resolved
        "BusyLoadingError",  # LOADING: the server is loading its data
        "TryAgainError",  # TRYAGAIN: a slot of the cluster is being moved
        "ClusterDownError",  # CLUSTERDOWN, and MASTERDOWN of a replica
        "ReadOnlyError",  # READONLY: no longer the primary
        "MaxConnectionsError",  # redis-py's: its pool is used up
        "MemcacheUnexpectedCloseError",
    }
)
#: Permanent errors of redis-py, although they are subclasses of its ``ConnectionError``.
PERMANENT = frozenset({"AuthenticationError", "AuthorizationError", "ExternalAuthProviderError"})

#: pymemcache's error for "All servers seem to be down right now".
GIVEN_UP = "MemcacheError"


def prepare_retry(error: Exception, alias: str) -> bool:
    """Return whether the call that raised ``error`` may be retried, and prepare the retry."""
    if isinstance(error, Error):
        # A cache in the database.
        return database_retry.prepare_retry(error)
    # django-redis raises one exception for every error, and redis-py's is its cause.
    wrapped = error.__cause__ if type(error).__name__ == "ConnectionInterrupted" else None
    names = {kind.__name__ for kind in type(wrapped or error).__mro__}
    given_up = type(error).__name__ == GIVEN_UP
    if names & PERMANENT or not (names & PASSING or given_up):
        return False
    annotate(error, f"in the cache {alias!r}")
    # After a lost connection, pymemcache's client silently does nothing for a second, and for
    # a minute once it has given up on a server: take a new client.
    caches[alias].close()
    with suppress(AttributeError, TypeError):
        del caches[alias]
    return True
