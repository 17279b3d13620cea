"""Retrying a storage call after a temporary error, as Celery's settings say.

Only the storage's hook is repeated. Values are prepared and encoded once, and the hooks of
other plugins are called once. Celery has its own retry loops, which repeat more, and differ
between releases; no error is left for them to retry.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TypeVar

from celery.exceptions import BackendError
from celery.utils.time import get_exponential_backoff_interval

from ..logs import described
from .celery_internals import is_set

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["MAX_RETRIES", "Retrying", "set_retry_defaults"]

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Retries unless the site sets ``result_backend_max_retries``. Celery's default waits are random:
#: up to 20 ms, then 40 ms and so on up to 10 s. 14 of them take 30 seconds on average, and 60
#: seconds at most.
MAX_RETRIES = 14

_limit: ContextVar[float | None] = ContextVar("limit", default=None)


class RetrySettings(Protocol):
    """The attributes in which Celery's ``Backend`` keeps the settings for retries."""

    always_retry: bool
    max_retries: float
    base_sleep_between_retries_ms: int
    max_sleep_between_retries_ms: int


class Retrying:
    """Calls functions that use one storage, and retries them after temporary errors.

    :param storage: The name of the storage, for the log.
    :param settings: Celery's backend. Its attributes are read at each failure.
    :param can_retry: Says whether the same call may succeed after this error.
    :param observe: Called before each wait, with the error and the seconds to wait.
    """

    def __init__(
        self,
        storage: str,
        settings: RetrySettings,
        can_retry: Callable[[Exception], bool],
        observe: Callable[[str, Exception, float], None],
    ) -> None:
        self.storage = storage
        self.settings = settings
        self.can_retry = can_retry
        self.observe = observe

    def call(
        self,
        function: Callable[[], _T],
        hook: str,
        given_up: Callable[[str], BackendError] = BackendError,
    ) -> _T:
        """Return the answer of ``function``, called again after each temporary error.

        ``hook`` names the call for observers. When the retries run out, ``given_up`` makes an
        error from the message, and that error is raised from the last one. An error that is not
        temporary is raised at once, unchanged.
        """
        failures = 0
        started = time.monotonic()
        while True:
            try:
                return function()
            except Exception as error:
                if not (self.settings.always_retry and self.can_retry(error)):
                    raise
                failures += 1
                if failures > self._max_retries():
                    seconds = time.monotonic() - started
                    raise given_up(self._used_up(failures, seconds, error)) from error
                wait = self._wait(failures)
                logger.warning(
                    "Storage %r failed, try %d: %s; trying again in %.3f s",
                    self.storage,
                    failures,
                    described(error),
                    wait,
                )
                self.observe(hook, error, wait)
            time.sleep(wait)

    def _used_up(self, failures: int, seconds: float, error: Exception) -> str:
        """Log and return the message that no further try will be made."""
        message = (
            f"Storage {self.storage!r} failed {failures} times in {seconds:.1f} seconds, "
            f"the last time with {described(error)}"
        )
        logger.error("%s; giving up", message)
        return message

    def _wait(self, retry: int) -> float:
        """Return the seconds to wait before retry number ``retry``."""
        milliseconds: int = get_exponential_backoff_interval(
            self.settings.base_sleep_between_retries_ms,
            retry,
            self.settings.max_sleep_between_retries_ms,
            full_jitter=True,
        )
        return milliseconds / 1000

    def _max_retries(self) -> float:
        limit = _limit.get()
        return self.settings.max_retries if limit is None else limit

    @contextmanager
    def limited(self, max_retries: float) -> Iterator[None]:
        """Limit the retries of each call in the block.

        Celery's worker sets a limit where waiting would hold up everything else.
        """
        token = _limit.set(max_retries)
        try:
            yield
        finally:
            _limit.reset(token)


def set_retry_defaults(backend: RetrySettings, app: Celery) -> None:
    """Make the backend retry :data:`MAX_RETRIES` times, unless the site's settings differ.

    Celery's defaults are not to retry and, if a site turns retrying on, to retry without limit.
    """
    if not is_set(app.conf, "result_backend_always_retry"):
        backend.always_retry = True
    if not is_set(app.conf, "result_backend_max_retries"):
        backend.max_retries = MAX_RETRIES
