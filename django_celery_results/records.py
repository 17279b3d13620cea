"""The objects that hooks take and return: records, and contributions from :mod:`.contributions`.

A :class:`TaskRecord` holds the values that the task produced. Encoding turns it into a
:class:`StoredTask`, which holds :class:`Contents`; storages only ever see this form.
This module does not import Django, so a plugin can be tested without a site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload

from celery import states

from .contributions import Coding, Command, Serializer

if TYPE_CHECKING:
    from celery import Celery

__all__ = [
    "ChordPart",
    "ChordProgress",
    "ChordRecord",
    "Coding",
    "Command",
    "Contents",
    "DescribedStorage",
    "Expiry",
    "ExpiryBatch",
    "GroupRecord",
    "ReadStored",
    "Retention",
    "Serializer",
    "StorageLocation",
    "StoredGroup",
    "StoredPart",
    "StoredTask",
    "TaskFacts",
    "TaskRecord",
    "UnfinishedChord",
    "split_encoding",
]

#: Serializer of storages that keep Python objects: the values are left as they are.
PYTHON_OBJECTS = "python"
PYTHON_CONTENT_TYPE = "application/x-python-objects"

#: A result as Celery writes it in messages: ``[[id, parent], children]``, where children is
#: ``None`` except for a group.
ResultTuple = Sequence[Any]


# -- Tasks ---------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class TaskFacts:
    """The facts about a task that are never encoded: the same before and after encoding."""

    task_id: str
    status: str
    #: Name of the task. Plugins always see this field and those below it, down to
    #: ``stamps``. They are stored only with ``result_extended``.
    name: str | None = None
    worker: str | None = None
    periodic_task_name: str | None = None
    retries: int | None = None
    queue: str | None = None
    stamps: Mapping[str, Any] | None = None
    group_id: str | None = None
    parent_id: str | None = None
    #: ``date_created`` and ``date_started`` are set on results that expire. The ``load_tasks``
    #: of the built-in storages leaves them out.
    date_created: datetime | None = None
    date_started: datetime | None = None
    #: When the task finished; ``None`` until then.
    date_done: datetime | None = None
    #: Name of another connection to write through, if the storage has several. Once the
    #: task is stored in the database, the alias that was written to.
    using: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the state is one of Celery's final states (SUCCESS, FAILURE, REVOKED)."""
        return self.status in states.READY_STATES


@dataclass(kw_only=True, slots=True)
class TaskRecord(TaskFacts):
    """One task as values: ``before_store`` may amend them, and observers see them.

    Every attribute except ``task_id`` may be set to another value. The values themselves
    belong to the running task: replace them, do not change them in place.
    """

    #: The return value. For a failure, what Celery's ``prepare_exception`` returns for the
    #: exception, or any other value that the task stored itself with ``update_state``.
    result: Any = None
    traceback: str | None = None
    #: The task's children, and whatever it put into ``request.meta``.
    meta: Mapping[str, Any] | None = None
    #: As the message carries them, usually as reprs. Stored only with ``result_extended``.
    args: Any = None
    kwargs: Any = None
    #: The headers that the sender gave the task (``apply_async(headers=...)``), without
    #: Celery's own. Plugins see them; they are not stored.
    headers: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """The values of a record as they are stored, and how to read them back."""

    #: Text by field name (``result``, ``meta``, ``traceback``, ``args``, ``kwargs``);
    #: ``None`` if the value is absent. A storage that keeps Python objects holds the objects
    #: themselves here, under a content type that says so.
    fields: Mapping[str, Any]
    content_type: str
    #: The serializer's own encoding and then the codings, in the order in which they
    #: were applied: ``"utf-8"``, ``"binary"``, ``"utf-8, zstd, fernet"``.
    content_encoding: str

    def __post_init__(self) -> None:
        if not (self.content_type and self.content_encoding):
            raise ValueError("Contents: content_type and content_encoding must not be empty")


@lru_cache
def split_encoding(content_encoding: str) -> tuple[str, tuple[str, ...]]:
    """Return the serializer's own encoding and the names of the codings, as applied."""
    encoding, *names = [part.strip() for part in content_encoding.split(",")]
    return encoding.lower() or "utf-8", tuple(names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """How long a result is kept from now on: ``seconds``, or ``None`` to keep it forever.

    Zero lets the result expire at once.
    """

    seconds: float | None

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds < 0:
            raise ValueError(f"Retention.seconds cannot be negative: {self.seconds}")


@dataclass(kw_only=True, slots=True)
class StoredTask(TaskFacts):
    """One task as a storage keeps it: plain facts and encoded contents, no raw values."""

    contents: Contents
    #: How long to keep this result, as decided by a plugin or ``result_failure_expires``;
    #: ``None`` leaves it to ``result_expires``.
    retention: Retention | None = None
    #: True for an empty PENDING, which says nothing new: it is stored only if nothing is stored
    #: for the task. A PENDING with a value is progress, and a state like any other.
    only_if_absent: bool = False

    def with_known(self, earlier: StoredTask | None) -> StoredTask:
        """Return this state, with gaps filled from an earlier state of the same task.

        Fills in the name, the worker and the periodic task name. Fills in the arguments
        too, unless the two states were encoded differently: they would then be unreadable.
        For storages that merge states themselves.
        """
        if earlier is None:
            return self
        facts = ("name", "worker", "periodic_task_name")
        known: dict[str, Any] = {name: getattr(earlier, name) for name in facts}
        known = {name: value for name, value in known.items() if getattr(self, name) is None}
        old, fields = earlier.contents, dict(self.contents.fields)
        ways = {(one.content_type, one.content_encoding) for one in (old, self.contents)}
        if len(ways) == 1:
            said = {name for name, value in fields.items() if value is not None}
            fields |= {name: old.fields.get(name) for name in {"args", "kwargs"} - said}
        return replace(self, **known, contents=replace(self.contents, fields=fields))


# -- Groups and chords ---------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class GroupRecord:
    """A saved group as values: the tuple form of its Celery ``GroupResult``."""

    group_id: str
    result: ResultTuple
    date_done: datetime | None = None


@dataclass(kw_only=True, slots=True)
class StoredGroup:
    """A saved group as a storage keeps it."""

    group_id: str
    contents: Contents
    date_done: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChordRecord:
    """A chord whose header is about to be sent."""

    group_id: str
    #: How many distinct header tasks must finish before the body is sent.
    size: int
    #: The header's results, in order, nested like the header.
    results: Sequence[ResultTuple]
    #: The encoded signature of the body, under ``body``, for storages that can list their
    #: chords; ``None`` if it could not be serialized.
    body: Contents | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChordPart:
    """One header task of a chord that has finished."""

    group_id: str
    task_id: str
    status: str
    group_index: int | None = None
    #: The encoded result, under ``result``, if the task's own result is not stored or may
    #: expire before the chord ends.
    contents: Contents | None = None
    #: Identifies the caller that returns the part. It stays the same when the call is
    #: repeated, so a claim whose answer was lost on the way is given to that caller again.
    claimant: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChordProgress:
    """The progress of a chord after one of its parts returned."""

    group_id: str
    #: Number of distinct header tasks that have not returned; ``None`` if there are some but
    #: counting them is too expensive.
    waiting: int | None
    #: Whether this caller, and no other, must now send the body.
    claimed: bool = False
    #: Whether an earlier claim existed, whose holder may have sent the body already.
    reclaimed: bool = False
    #: The header's results, as given to ``start_chord``; empty unless ``claimed``.
    results: Sequence[ResultTuple] = ()
    #: The parts that came with their own contents; empty unless ``claimed``.
    parts: Sequence[ChordPart] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPart:
    """The outcome of storing and counting a header task in one step (``store_part``)."""

    #: True if the task's state was stored, False if the existing state was kept.
    written: bool
    #: Whether the task was counted. If not, ``chord_part_returned`` is called for it.
    counted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfinishedChord:
    """A chord whose body has not been sent yet, as a storage lists it."""

    group_id: str
    #: The header's results, as given to ``start_chord``.
    results: Sequence[ResultTuple]
    #: The ids of the header tasks that were counted.
    counted: Sequence[str]
    #: Number of distinct header tasks that have not returned.
    waiting: int
    #: The body, as given to ``start_chord``; ``None`` if it is not known.
    body: Contents | None = None
    date_created: datetime | None = None
    #: When a worker last claimed the sending of the body; ``None`` if none has.
    date_claimed: datetime | None = None


def leaf_ids(results: Iterable[ResultTuple]) -> list[str]:
    """Return the ids of all task results in ``results``, in order, including nested groups."""
    ids: list[str] = []
    for (result_id, _parent), children in results:
        ids.extend([result_id] if children is None else leaf_ids(children))
    return ids


# -- Expiry --------------------------------------------------------------------------


class ReadStored(Protocol):
    """A function that decodes a stored record into a record of values."""

    @overload
    def __call__(self, stored: StoredTask, /) -> TaskRecord: ...

    @overload
    def __call__(self, stored: StoredGroup, /) -> GroupRecord: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiryBatch:
    """Results that are about to be deleted, or have just been deleted."""

    storage: str
    kind: Literal["task", "group"]
    ids: Sequence[str]
    #: The results themselves; empty if no plugin implements an expiry hook.
    records: Sequence[StoredTask] | Sequence[StoredGroup] = ()
    #: Decodes one of ``records``. Raises ``ResultUnreadable`` if it cannot, or the subclass
    #: ``ResultUnavailable`` if it may be able to later.
    read: ReadStored | None = field(default=None, repr=False)
    #: The alias of the Django database that the results are deleted from; ``None`` if they
    #: are not in a Django database. The deletion may run in the caller's transaction and
    #: still be rolled back, so defer anything that a rollback cannot undo with
    #: ``transaction.on_commit(…, using=batch.using)``.
    using: str | None = None


def once(function: Callable[[], Any]) -> Any:
    """Return the result of ``function``, called once without retries."""
    return function()


@dataclass(frozen=True, kw_only=True, slots=True)
class Expiry:
    """A request to expire results: which ones, and the functions to call for each batch.

    For each batch the storage calls ``before``, deletes the batch only if that returned
    true, and calls ``after`` once the deletion is durable. If the storage runs each batch
    through ``repeat``, a batch whose error ``can_retry`` accepts is tried again by itself;
    otherwise the whole ``expire_results`` is called again.
    """

    #: Age in seconds at which results expire; ``None`` if none expire by age alone.
    expires: float | None
    batch_size: int
    #: Seconds to wait between two batches.
    batch_pause: float = 0
    #: ``before`` and ``after`` are both ``None`` if no plugin implements an expiry hook;
    #: batches can then leave out their records.
    before: Callable[[ExpiryBatch], bool] | None = None
    after: Callable[[ExpiryBatch], None] | None = None
    #: Calls the given function, repeats it if necessary, and returns its result.
    repeat: Callable[[Callable[[], Any]], Any] = field(default=once, repr=False)


# -- Storage -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageLocation:
    """The parsed result backend URL: ``name://alias/path?options``."""

    #: The name of the storage plugin: the URL's scheme.
    name: str
    alias: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    #: Seconds until a result expires according to Celery's settings; ``None`` for never.
    expires: float | None = None
    app: Celery | None = None
    #: Extra values from the backend class, such as the models of a ``DatabaseBackend``.
    parameters: Mapping[str, Any] = field(default_factory=dict)


class DescribedStorage(Protocol):
    """The attributes with which the answer of ``open_storage`` may describe itself.

    Both are optional: the answer may be any object. Plugins that wrap a storage's hooks read
    them with ``getattr(storage, "using", None)``.

    .. versionadded:: 3.0
    """

    @property
    def using(self) -> str | None:
        """The alias of the Django database that results are written to.

        ``None``, or no such attribute: they are not in one of Django's databases.
        """

    @property
    def place(self) -> str:
        """A name for the place that results are written to.

        It is the same in every process and after every restart, because a plugin may name
        files or keys after it. Two places of one site have different names.
        """
