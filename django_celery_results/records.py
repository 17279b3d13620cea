"""What crosses a hook: the records, and (from :mod:`.contributed`) what plugins contribute.

A :class:`TaskRecord` holds values, as the task gave them. Encoded, it becomes a
:class:`StoredTask`, which holds :class:`Contents` and is all that a storage ever sees.
Nothing here imports Django, so that a plugin can be tested without a site.
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

#: A result as Celery writes it in messages: ``[[id, parent], children]``,
#: where children is ``None`` but for a group.
ResultTuple = Sequence[Any]


# -- Tasks ---------------------------------------------------------------------------


@dataclass(kw_only=True, slots=True)
class TaskFacts:
    """What is plain about a task: never encoded, the same before and after encoding."""

    task_id: str
    status: str
    #: Name of the task. Plugins always see it, as they do all that follow down to
    #: ``stamps``; with ``result_extended`` alone are they stored.
    name: str | None = None
    worker: str | None = None
    periodic_task_name: str | None = None
    retries: int | None = None
    queue: str | None = None
    stamps: Mapping[str, Any] | None = None
    group_id: str | None = None
    parent_id: str | None = None
    #: This date and the next are those of results that expire; ``load_tasks`` of the built-in
    #: storages leaves them out.
    date_created: datetime | None = None
    date_started: datetime | None = None
    #: When the task finished; ``None`` while it has not.
    date_done: datetime | None = None
    #: Name of another connection to write through, where the storage has several; once
    #: stored in the database, the alias that was written to.
    using: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the state is one of Celery's final ones (SUCCESS, FAILURE, REVOKED)."""
        return self.status in states.READY_STATES


@dataclass(kw_only=True, slots=True)
class TaskRecord(TaskFacts):
    """One task as values: what ``before_store`` may amend and observers see.

    Every attribute but ``task_id`` may be set to another value. The values themselves
    belong to the running task: replace them, do not change them in place.
    """

    #: The return value; for a failure what Celery's ``prepare_exception`` makes of it.
    result: Any = None
    traceback: str | None = None
    #: Children, and what the task put into ``request.meta``.
    meta: Mapping[str, Any] | None = None
    #: As the message carries them, for the most part reprs; stored with
    #: ``result_extended`` alone.
    args: Any = None
    kwargs: Any = None
    #: The headers that whoever sent the task gave it (``apply_async(headers=...)``), and
    #: none of Celery's own. Plugins see them; they are not stored.
    headers: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """The values of a record as they are stored, and how to read them back."""

    #: Text by field name (``result``, ``meta``, ``traceback``, ``args``, ``kwargs``);
    #: ``None`` where there is nothing. In a storage that keeps Python objects, and
    #: under the content type that says so, the objects themselves.
    fields: Mapping[str, Any]
    content_type: str
    #: The serializer's own encoding and then the codings, in the order in which they
    #: were applied: ``"utf-8"``, ``"binary"``, ``"utf-8, zstd, fernet"``.
    content_encoding: str

    def __post_init__(self) -> None:
        if not (self.content_type and self.content_encoding):
            raise ValueError("contents need a content_type and a content_encoding")


@lru_cache
def split_encoding(content_encoding: str) -> tuple[str, tuple[str, ...]]:
    """Return the serializer's own encoding and the names of the codings, as applied."""
    encoding, *names = [part.strip() for part in content_encoding.split(",")]
    return encoding.lower() or "utf-8", tuple(names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """How long a result is kept from now on: ``seconds``, or ``None`` for ever.

    Zero lets the result expire at once.
    """

    seconds: float | None

    def __post_init__(self) -> None:
        if self.seconds is not None and self.seconds < 0:
            raise ValueError(f"a retention cannot be negative: {self.seconds}")


@dataclass(kw_only=True, slots=True)
class StoredTask(TaskFacts):
    """One task as a storage keeps it: encoded contents, and nothing that was not encoded."""

    contents: Contents
    #: What a plugin, or ``result_failure_expires``, says of this result alone;
    #: ``None`` leaves it to ``result_expires``.
    retention: Retention | None = None

    def with_known(self, earlier: StoredTask | None) -> StoredTask:
        """Return this state with what an earlier one said and this one does not.

        The name, the worker and the periodic task; the arguments too, unless the contents
        were encoded otherwise: they could not be read then. For storages that put states
        together themselves.
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
    """A saved group as values: the tuple of its Celery ``GroupResult``."""

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
    #: The header's results, in order, nested as the header is.
    results: Sequence[ResultTuple]
    #: The encoded signature of the body, under ``body``, for a storage that can list its
    #: chords; ``None`` when it could not be serialized.
    body: Contents | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChordPart:
    """One header task of a chord that has finished."""

    group_id: str
    task_id: str
    status: str
    group_index: int | None = None
    #: The encoded result, under ``result``, when the task keeps no result of its own.
    contents: Contents | None = None
    #: Names the one who returns the part, and stays the same when the call is repeated: a
    #: claim whose answer was lost on the way is given to it again.
    claimant: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChordProgress:
    """How far a chord is after one of its parts returned."""

    group_id: str
    #: Distinct header tasks still to come; ``None``: some, and counting them costs too much.
    waiting: int | None
    #: Whether the caller, and nobody else, now has to send the body.
    claimed: bool = False
    #: Whether there was a claim before this one, whose holder may have sent the body.
    reclaimed: bool = False
    #: The header's results, as given at the start; empty unless ``claimed``.
    results: Sequence[ResultTuple] = ()
    #: The parts that brought their own contents; empty unless ``claimed``.
    parts: Sequence[ChordPart] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPart:
    """What became of a header task whose state was to be stored and counted in one step."""

    #: Whether its state was stored, or what is there stays as it is.
    written: bool
    #: Whether it was counted; if not, ``chord_part_returned`` is called for it.
    counted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfinishedChord:
    """A chord whose body is still owed, as a storage lists it."""

    group_id: str
    #: The header's results, as given at the start.
    results: Sequence[ResultTuple]
    #: The ids of the header tasks that were counted.
    counted: Sequence[str]
    #: Distinct header tasks still to come.
    waiting: int
    #: The body, as given at the start; ``None`` when it is not known.
    body: Contents | None = None
    date_created: datetime | None = None
    #: When somebody last undertook to send the body; ``None``: nobody has.
    date_claimed: datetime | None = None


def leaf_ids(results: Iterable[ResultTuple]) -> list[str]:
    """Return the ids of all single results in ``results``, groups opened, in order."""
    ids: list[str] = []
    for (result_id, _parent), children in results:
        ids.extend([result_id] if children is None else leaf_ids(children))
    return ids


# -- Expiry --------------------------------------------------------------------------


class ReadStored(Protocol):
    """Makes a record of values of a stored one."""

    @overload
    def __call__(self, stored: StoredTask, /) -> TaskRecord: ...

    @overload
    def __call__(self, stored: StoredGroup, /) -> GroupRecord: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpiryBatch:
    """Results that are about to be deleted, or just were."""

    storage: str
    kind: Literal["task", "group"]
    ids: Sequence[str]
    #: The results themselves; empty when no plugin listens to expiry.
    records: Sequence[StoredTask] | Sequence[StoredGroup] = ()
    #: Decodes one of ``records``: raises ``ResultUnreadable`` when it cannot, and of that
    #: ``ResultUnavailable`` when it may be possible later.
    read: ReadStored | None = field(default=None, repr=False)
    #: The alias of the database that the results are deleted from; ``None``: from none of
    #: Django's. Whoever expires results within a transaction may still undo it: what
    #: cannot be undone with it belongs into ``transaction.on_commit(…, using=batch.using)``.
    using: str | None = None


def once(function: Callable[[], Any]) -> Any:
    """Return what ``function`` gives, and repeat nothing."""
    return function()


@dataclass(frozen=True, kw_only=True, slots=True)
class Expiry:
    """What a storage is asked to expire, and whom it has to tell.

    For each batch the storage calls ``before``, deletes the batch only if that gave
    true, and calls ``after`` once the deletion is durable. Called through ``repeat``, a
    batch is made again when it raised what ``can_retry`` says may pass; without that,
    ``expire_results`` as a whole is called again.
    """

    #: Age in seconds that a result may reach; ``None`` when age alone expires nothing.
    expires: float | None
    batch_size: int
    #: Seconds to wait between two batches.
    batch_pause: float = 0
    #: Both ``None`` when no plugin listens; batches then need no records either.
    before: Callable[[ExpiryBatch], bool] | None = None
    after: Callable[[ExpiryBatch], None] | None = None
    #: Calls the function that it is given, again and again if need be; returns its answer.
    repeat: Callable[[Callable[[], Any]], Any] = field(default=once, repr=False)


# -- Storage -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageLocation:
    """Where the result backend URL says that results are: ``name://alias/path?options``."""

    #: The storage plugin's name, which is the URL's scheme.
    name: str
    alias: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    #: Seconds until a result expires by Celery's settings; ``None``: never.
    expires: float | None = None
    app: Celery | None = None
    #: What the backend class adds, such as the models of a ``DatabaseBackend``.
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
