"""Results of one backend: encoded and stored, loaded and decoded.

:class:`Results` stands between Celery's values and one storage. The rest of this package
(waiting, chords, cleanup) holds a :class:`Results` and calls it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from celery import states
from celery.exceptions import BackendError, BackendGetMetaError, BackendStoreError
from kombu.exceptions import EncodeError

from ..exceptions import (
    BackendMisconfigured,
    ResultsError,
    ResultUnavailable,
    ResultUnreadable,
    StorageError,
    TaskFailed,
)
from ..logs import described
from ..records import Contents, GroupRecord, Retention, StoredGroup, StoredTask, TaskRecord
from ..registry.loading import readers_of
from ..utils import text_id
from .failures import restored
from .retrying import Retrying
from .translation import (
    group_tuple,
    pending_meta,
    reduced,
    task_meta,
    task_record,
    to_stored,
    values_to_encode,
)

if TYPE_CHECKING:
    from celery.backends.base import Backend

    from ..records import Coding
    from ..registry.calling import Hooks
    from .subclasses import SubclassContents

__all__ = ["Results", "result_alone"]

logger = logging.getLogger(__name__)

#: The most ids in one call of ``load_tasks``.
IDS_AT_ONCE = 1000
#: The most ids of tasks to remember, so that a refused state is logged once a task.
REFUSALS_KEPT = 10_000


class Results:
    """Stores and loads results through the hooks.

    :param backend: Celery's backend, for its settings and its conversions of exceptions.
    :param hooks: The hooks, including those of the backend's storage.
    :param storage: The object that ``open_storage`` returned.
    :param serializer: The name of the serializer for contents.
    :param codings: The codings that are switched on, in the order to apply them.
    """

    def __init__(
        self,
        backend: Backend,
        hooks: Hooks,
        storage: Any,
        *,
        serializer: str,
        codings: Sequence[Coding],
    ) -> None:
        # Celery's type stubs lack half of its attributes.
        self.backend = cast("Any", backend)
        self.hooks = hooks
        self.storage = storage
        self.serializer = serializer
        self.codings = codings
        #: The ids of the tasks for which a refused state has been logged.
        self._refused: set[str] = set()
        #: Encodes and decodes everything, if the backend's class overrides 2.6's methods for it.
        self.by_subclass: SubclassContents | None = None
        #: Whether the backend's class overrides ``_get_task_meta_for``, so that it reads each task.
        self.reads_one_by_one = False
        #: Whether the backend's class counts the header tasks of chords itself.
        self.counts_by_subclass = False
        #: Whether names and arguments are stored without ``result_extended`` too.
        self.always_extended = False
        self.retrying = Retrying(
            hooks.storage, self.backend, self.backend.exception_safe_to_retry, self._observe_retry
        )

    # -- Calls of the storage --------------------------------------------------------

    def call(
        self,
        hook: str,
        given_up: Callable[[str], BackendError] = BackendError,
        **arguments: Any,
    ) -> Any:
        """Call a hook of the storage, retried as :class:`.Retrying` says; return its answer.

        The answer is ``None`` when the storage does not implement the hook.
        """
        call = partial(self.hooks.call, hook, storage=self.storage, **arguments)
        return self.retrying.call(call, hook, given_up)

    def ask(
        self,
        hook: str,
        given_up: Callable[[str], BackendError] = BackendError,
        **arguments: Any,
    ) -> Any:
        """Call a storage hook like :meth:`call`; raise ``HookError`` if the answer is ``None``."""
        ask = partial(self.hooks.ask, hook, storage=self.storage, **arguments)
        return self.retrying.call(ask, hook, given_up)

    def can_retry(self, error: Exception) -> bool:
        """Return whether the storage allows a retry of the call that raised ``error``."""
        # Our own errors report what is stored or installed, and a retry changes neither.
        # Celery raises BackendError when its retries run out.
        ours = isinstance(error, ResultsError) and not isinstance(error, StorageError)
        if ours or isinstance(error, BackendError):
            return False
        return bool(self.hooks.call("can_retry", storage=self.storage, error=error))

    def _observe_retry(self, hook: str, error: Exception, wait: float) -> None:
        name = self.hooks.storage
        self.hooks.observe("storage_retried", storage_name=name, hook=hook, error=error, wait=wait)

    # -- Storing tasks ---------------------------------------------------------------

    def prepare(self, task: TaskRecord) -> StoredTask:
        """Let plugins amend ``task``, encode it, and return the record to store."""
        self.hooks.call("before_store", task=task)
        extended = self.always_extended or bool(self.backend.app.conf.result_extended)
        contents = self._encode_task(task, extended)
        return to_stored(task, contents, self._retention(task), extended=extended)

    def store(self, task: StoredTask) -> bool:
        """Store the state of a task; return false when the storage kept what it had."""
        given_up = partial(
            BackendStoreError,
            task_id=task.task_id,  # type: ignore[call-arg]  # absent from the stubs
            state=task.status,
        )
        present = partial(self._present, task.task_id)
        return bool(self.ask("store_task", given_up, task=task, present=present))

    def announce(self, task: TaskRecord, stored: StoredTask, written: bool) -> None:
        """Tell the observing plugins about a store; ``written`` is the storage's answer."""
        if not written and not stored.only_if_absent:
            self._log_refused(stored)
        self.hooks.observe("after_store", task=task, stored=stored, written=written)

    def _log_refused(self, task: StoredTask) -> None:
        """Log once a task that its new state was not stored, because another one is final."""
        if task.task_id in self._refused:
            return
        if len(self._refused) >= REFUSALS_KEPT:
            self._refused.clear()
        self._refused.add(task.task_id)
        try:
            present = self._present(task.task_id, ())
        except Exception as error:  # noqa: BLE001 - the refused state is worth a line all the same
            present_state = f"unknown ({described(error)})"
        else:
            present_state = present.status if present else "not there any more"
        logger.warning(
            "The state %s of task %s was not stored: its stored state is %s, and SUCCESS is final. "
            "The task ran or retried after its success, or its id was used before (logged once "
            "a task)",
            task.status,
            task.task_id,
            present_state,
        )

    def forget(self, task_id: str) -> None:
        """Delete what is stored for a task."""
        self.ask("forget_task", task_id=task_id, present=partial(self._present, task_id))

    def _present(self, task_id: str, contents: Sequence[str] | None) -> StoredTask | None:
        """Return the task as the storage has it now, ``None`` if it is not stored."""
        found: Sequence[StoredTask] = self.hooks.ask(
            "load_tasks",
            storage=self.storage,
            task_ids=[task_id],
            primary=True,
            contents=contents,
        )
        return found[0] if found else None

    def encode(self, values: Mapping[str, Any]) -> Contents:
        """Serialize the values of one record, apply the codings, and return the contents."""
        if self.by_subclass is not None:
            return self.by_subclass.encode(values)
        return self.encode_by_hooks(values)

    def encode_by_hooks(self, values: Mapping[str, Any]) -> Contents:
        """Encode as :meth:`encode` does unless the backend's class has a way of its own."""
        contents: Contents = self.hooks.ask(
            "encode", values=values, serializer=self.serializer, codings=self.codings
        )
        return contents

    def _encode_task(self, task: TaskRecord, extended: bool) -> Contents:
        try:
            return self.encode(values_to_encode(task, extended=extended))
        except EncodeError:
            return self.encode(values_to_encode(reduced(task), extended=extended))

    def _retention(self, task: TaskRecord) -> Retention | None:
        if not task.is_ready:
            return None
        retention: Retention | None = self.hooks.call("result_retention", task=task)
        if retention is None and task.status == states.FAILURE:
            # Celery 5.7 introduced this setting; the conf of earlier releases lacks it.
            expires = self.backend.app.conf.get("result_failure_expires")
            if expires is not None:
                return Retention(seconds=self.backend.prepare_expires(expires) or None)
        return retention

    # -- Loading tasks ---------------------------------------------------------------

    def load(
        self,
        task_ids: Sequence[str],
        primary: bool = False,
        contents: Sequence[str] | None = None,
    ) -> list[StoredTask]:
        """Return the stored tasks of these ids, loading a thousand at a time.

        The arguments are those of the hook ``load_tasks``. Ids that are not stored are left out.
        """
        found: list[StoredTask] = []
        for start in range(0, len(task_ids), IDS_AT_ONCE):
            chunk = task_ids[start : start + IDS_AT_ONCE]
            given_up = partial(
                BackendGetMetaError,
                task_id=chunk[0],  # type: ignore[call-arg]  # absent from the stubs
            )
            found += self.ask(
                "load_tasks", given_up, task_ids=chunk, primary=primary, contents=contents
            )
        return found

    def meta(self, stored: StoredTask) -> dict[str, Any]:
        """Return a stored task's meta, with the result in the form that Celery's callers expect.

        The result of a failure is an exception, whatever is stored for it. Raises
        :class:`ResultUnreadable`.
        """
        if self.reads_one_by_one:
            return self._meta_of_subclass(stored.task_id)
        return self.meta_by_hooks(stored)

    def _meta_of_subclass(self, task_id: str) -> dict[str, Any]:
        meta: dict[str, Any] = self.backend._get_task_meta_for(task_id)  # noqa: SLF001 - Celery's name
        return meta

    def meta_by_hooks(self, stored: StoredTask) -> dict[str, Any]:
        """Return what :meth:`meta` does unless the backend's class has a way of its own."""
        values = self.values(stored)
        meta: dict[str, Any] = self.backend.meta_from_decoded(task_meta(stored, values))
        if stored.status not in states.EXCEPTION_STATES:
            meta["result"] = restored(meta["result"])
        elif meta["result"] is None and stored.status in states.PROPAGATE_STATES:
            # Celery raises the results of these states.
            meta["result"] = TaskFailed(None)
        return meta

    def meta_or_error(self, stored: StoredTask, *, can_wait: bool = False) -> dict[str, Any]:
        """Return a stored task's meta, or a failure with the error if it cannot be read.

        One corrupt row then does not affect other results of the same read. If ``can_wait``,
        :class:`ResultUnavailable` is raised, because the result may become readable later.
        """
        return self._or_error(stored.task_id, lambda: self.meta(stored), can_wait)

    def _or_error(
        self, task_id: str, read: Callable[[], dict[str, Any]], can_wait: bool = False
    ) -> dict[str, Any]:
        try:
            return read()
        except Exception as error:
            if can_wait and isinstance(error, ResultUnavailable):
                raise
            logger.exception("The result of task %s cannot be read", task_id)
            return {**pending_meta(task_id), "status": states.FAILURE, "result": error}

    def metas(self, task_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the meta of each task by its id, reading a thousand of them at once.

        The meta of an unknown task is pending. The meta of a task that cannot be read is a
        failure, whose result is the :class:`ResultUnreadable`.
        """
        if self.reads_one_by_one:
            return {
                one: self._or_error(one, partial(self._meta_of_subclass, one))
                for one in map(text_id, task_ids)
            }
        metas = {one: pending_meta(one) for one in map(text_id, task_ids)}
        for stored in self.load(list(metas)):
            metas[stored.task_id] = self.meta_or_error(stored)
        return metas

    def metas_in(
        self, wanted: frozenset[str], task_ids: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the id and the meta of each task that is in one of the ``wanted`` states."""
        if self.reads_one_by_one:
            found = self.metas(task_ids)
            yield from ((one, meta) for one, meta in found.items() if meta["status"] in wanted)
            return
        for stored in self.load(task_ids):
            if stored.status in wanted:
                yield stored.task_id, self.meta_or_error(stored)

    def record(self, stored: StoredTask) -> TaskRecord:
        """Return a stored task with its values decoded; raise :class:`ResultUnreadable`."""
        return task_record(stored, self.values(stored))

    def values(self, stored: StoredTask) -> Mapping[str, Any]:
        """Return the decoded values of a stored task; raise :class:`ResultUnreadable`."""
        return self.decode(f"task {stored.task_id!r}", stored.contents, stored)

    def decode(
        self,
        what: str,
        contents: Contents,
        record: StoredTask | StoredGroup | None = None,
        by_hooks: bool = False,
    ) -> Mapping[str, Any]:
        """Return the values of ``contents`` by field name.

        Raises :class:`ResultUnreadable`, whose message names the record as ``what``. ``record``
        is the record itself, for the ``decode_content`` of a site's own class, which is not
        called if ``by_hooks``.
        """
        try:
            if by_hooks or self.by_subclass is None:
                values = self._decode_by_hooks(contents)
            else:
                values = self.by_subclass.decode(contents, record)
        except Exception as error:
            # A wrong setting can be corrected, and does not mean that the result is damaged.
            is_away = isinstance(error, (ResultUnavailable, BackendMisconfigured))
            error_class = ResultUnavailable if is_away else ResultUnreadable
            unreadable = error_class(f"The stored result of {what} cannot be read: {error}")
            # The notes name the plugin that raised; this works on Python 3.10 too.
            unreadable.__notes__ = list(getattr(error, "__notes__", ()))  # type: ignore[attr-defined]  # Python 3.11's
            raise unreadable from error
        return values

    def _decode_by_hooks(self, contents: Contents) -> Mapping[str, Any]:
        values: Mapping[str, Any] = self.hooks.ask(
            "decode",
            contents=contents,
            accept=self.backend.accept,
            codings=readers_of(self.hooks.plugins, contents),
        )
        return values

    # -- Groups ----------------------------------------------------------------------

    def save_group(self, group: GroupRecord) -> None:
        """Store the tuple of a group's results under the group's id."""
        contents = self.encode({"result": group.result})
        self.ask("save_group", group=StoredGroup(group_id=group.group_id, contents=contents))

    def load_group(self, group_id: str) -> GroupRecord | None:
        """Return a saved group, or ``None``; raise :class:`ResultUnreadable`."""
        stored: StoredGroup | None = self.call("load_group", group_id=group_id)
        return None if stored is None else self.group_record(stored)

    def group_record(self, stored: StoredGroup) -> GroupRecord:
        """Return a stored group with its results decoded; raise :class:`ResultUnreadable`."""
        values = self.decode(f"group {stored.group_id!r}", stored.contents, stored)
        try:
            result = group_tuple(stored.group_id, values.get("result"))
        except ValueError as error:
            message = f"The stored group {stored.group_id!r} cannot be read: {error}"
            raise ResultUnreadable(message) from error
        return GroupRecord(group_id=stored.group_id, result=result, date_done=stored.date_done)

    def forget_group(self, group_id: str) -> None:
        """Delete a saved group, but not the results of its tasks."""
        self.ask("forget_group", group_id=group_id)


def result_alone(contents: Contents) -> Contents:
    """Return the contents without the fields that a chord does not need."""
    return replace(contents, fields={"result": contents.fields["result"]})
