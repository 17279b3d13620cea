"""Trying a storage again, as Celery's settings say: the one place where that is done.

What a hook of the storage raises is repeated here, and that hook alone: values are
prepared and encoded once, plugins are asked once. Celery's own loops, which differ from
release to release in what they repeat, find nothing left to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery.backends.base import Backend
from celery.exceptions import BackendError, BackendGetMetaError, BackendStoreError
from celery.utils.time import get_exponential_backoff_interval

from ..exceptions import ResultsError, StorageError

if TYPE_CHECKING:
    from celery import Celery

    from ..hooks import Hooks

__all__ = ["MAX_RETRIES", "RetryingMixin", "described"]

logger = logging.getLogger(__name__)

#: Retries unless ``result_backend_max_retries`` says otherwise. With Celery's usual waits,
#: random up to 20 ms, 40 ms and so on to 10 s, these are 30 seconds on average, 60 at most.
MAX_RETRIES = 14

_limit: ContextVar[float | None] = ContextVar("limit", default=None)


class RetryingMixin(Backend):
    """Calls of a storage's hooks, repeated while their errors may pass."""

    if TYPE_CHECKING:
        hooks: Hooks
        storage: Any
        base_sleep_between_retries_ms: int
        max_sleep_between_retries_ms: int

        def _sleep(self, amount: float) -> None: ...

    #: Whether errors that may pass are retried, and how often.
    always_retry: bool
    max_retries: float

    def __init__(self, app: Celery, *args: Any, **kwargs: Any) -> None:
        super().__init__(app, *args, **kwargs)
        # Celery's defaults are never, and without end.
        if not _is_set(app.conf, "result_backend_always_retry"):
            self.always_retry = True
        if not _is_set(app.conf, "result_backend_max_retries"):
            self.max_retries = MAX_RETRIES

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether the storage says that the call that raised ``exc`` may be repeated."""
        # An answer of ours about what is stored or installed is the same at every try, and
        # Celery's error is what is raised when the tries are used up.
        ours = isinstance(exc, ResultsError) and not isinstance(exc, StorageError)
        is_final = ours or isinstance(exc, BackendError)
        return not is_final and bool(self.hooks.call("can_retry", storage=self.storage, error=exc))

    def _persist(self, hook: str, **arguments: Any) -> Any:
        """Call a hook of the storage, again and again if need be, and return its answer.

        Raises Celery's :exc:`~celery.exceptions.BackendError` from the last error when the
        tries are used up, and any error that cannot pass as it is.
        """
        return self._repeat(self.hooks.call, hook, arguments)

    def _require(self, hook: str, **arguments: Any) -> Any:
        """Do the same with a hook that has to be answered."""
        return self._repeat(self.hooks.ask, hook, arguments)

    def _repeat_batch(self, batch: Callable[[], Any]) -> Any:
        """Do the same with one batch of what a hook of the storage does."""
        return self._repeat(lambda _hook, **_storage: batch(), "expire_results", {})

    def _repeat(self, call: Callable[..., Any], hook: str, arguments: Mapping[str, Any]) -> Any:
        tries: Tries | None = None
        started = time.monotonic()
        while True:
            try:
                return call(hook, storage=self.storage, **arguments)
            except Exception as error:
                if not (self.always_retry and self.exception_safe_to_retry(error)):
                    raise
                tries = tries or Tries(self.hooks.storage, started)
                tries.count += 1
                if tries.count > self._retries():
                    raise tries.given_up(hook, arguments, error) from error
                wait = self._wait(tries.count)
                tries.log(error, wait)
                self._tell(hook, error, wait)
            self._sleep(wait)

    def _tell(self, hook: str, error: Exception, wait: float) -> None:
        """Let the observers know that ``hook`` will be called again."""
        name = self.hooks.storage
        self.hooks.observe("storage_retried", storage_name=name, hook=hook, error=error, wait=wait)

    def _wait(self, retry: int) -> float:
        """Return the seconds before that retry."""
        milliseconds: int = get_exponential_backoff_interval(
            self.base_sleep_between_retries_ms,
            retry,
            self.max_sleep_between_retries_ms,
            full_jitter=True,
        )
        return milliseconds / 1000

    def _retries(self) -> float:
        limit = _limit.get()
        return self.max_retries if limit is None else limit

    def _ensure_retryable(
        self, func: Callable[..., Any], *args: Any, max_retries: float | None = None, **kwargs: Any
    ) -> Any:
        """Call ``func``, in which at most ``max_retries`` retries are made.

        Celery's own loop since 5.7, around what repeats itself here. Its worker sets a
        limit where waiting would hold up everything else.
        """
        # What Celery would raise when the tries are used up.
        for name in ("fallback_exc", "fallback_msg"):
            kwargs.pop(name, None)
        token = _limit.set(max_retries)
        try:
            return func(*args, **kwargs)
        finally:
            _limit.reset(token)


@dataclass
class Tries:
    """How often a storage was called in vain."""

    storage: str
    #: When the first try began, on the monotonic clock.
    started: float
    count: int = 0

    def log(self, error: Exception, wait: float) -> None:
        """Say that the call is repeated."""
        logger.warning(
            "Storage %r failed, try %d: %s; trying again in %.3f s",
            self.storage,
            self.count,
            described(error),
            wait,
        )

    def given_up(self, hook: str, arguments: Mapping[str, Any], error: Exception) -> BackendError:
        """Return, and log, the error that says that there will be no further try."""
        seconds = time.monotonic() - self.started
        message = (
            f"Storage {self.storage!r} failed {self.count} times in {seconds:.1f} seconds, "
            f"the last time with {described(error)}"
        )
        logger.error("%s; giving up", message)
        if hook == "store_task":
            task = arguments["task"]
            known = {"task_id": task.task_id, "state": task.status}
            return BackendStoreError(message, **known)
        if hook == "load_tasks":
            known = {"task_id": arguments["task_ids"][0]}
            return BackendGetMetaError(message, **known)
        return BackendError(message)


def described(error: Exception) -> str:
    """Return the error and its notes in one line: which hook, which database."""
    notes = getattr(error, "__notes__", ())
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" + (f" ({'; '.join(notes)})" if notes else "")


def _is_set(conf: Any, name: str) -> bool:
    """Return whether the site gave the setting itself, even if it gave Celery's default."""
    # Celery's own answer, value_set_for(), knows no namespace before 5.7.
    prefix = conf.prefix or ""
    own = name.upper() if prefix.isupper() else name
    names = (name, f"{prefix}{own}", f"CELERY_{name.upper()}")
    # The last mapping is that of the defaults.
    return any(one in mapping for mapping in conf.maps[:-1] for one in names)
