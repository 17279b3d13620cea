"""Which errors of a cache may pass, by the names that its client gives them.

Neither redis-py nor pymemcache has to be installed, and their classes have bases of
their own: a time-out of redis-py is not Python's.

To replace a cache's client, this module uses ``del caches[alias]``, which Django's documentation
lacks. Without it, the same client is used again, and pymemcache's refuses calls for a while.
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
        "BusyLoadingError",  # LOADING: the server reads its data
        "TryAgainError",  # TRYAGAIN: a slot of the cluster is on its way
        "ClusterDownError",  # CLUSTERDOWN, and MASTERDOWN of a replica
        "ReadOnlyError",  # READONLY: no longer the primary
        "MaxConnectionsError",  # redis-py's pool has none left
        "MemcacheUnexpectedCloseError",
    }
)
#: Those of redis-py that are a ``ConnectionError`` all the same.
PERMANENT = frozenset({"AuthenticationError", "AuthorizationError", "ExternalAuthProviderError"})

#: pymemcache's for "All servers seem to be down right now".
GIVEN_UP = "MemcacheError"


def prepare_retry(error: Exception, alias: str) -> bool:
    """Return whether what raised ``error`` may be tried again, and make ready for it."""
    if isinstance(error, Error):
        # A cache in the database.
        return database_retry.prepare_retry(error)
    # django-redis has one exception for all, around that of redis-py.
    wrapped = error.__cause__ if type(error).__name__ == "ConnectionInterrupted" else None
    names = {kind.__name__ for kind in type(wrapped or error).__mro__}
    given_up = type(error).__name__ == GIVEN_UP
    if names & PERMANENT or not (names & PASSING or given_up):
        return False
    annotate(error, f"in the cache {alias!r}")
    # pymemcache's client does nothing for a second, and says nothing, after a connection
    # was lost, and for a minute when it has given a server up: take a new one.
    caches[alias].close()
    with suppress(AttributeError, TypeError):
        del caches[alias]
    return True
