"""The contract between the core and its plugins: every hook, in the order a result meets it.

A plugin is any object (a module, or an instance of a class) whose functions are marked
with :data:`django_celery_results.hookimpl` and named as below. An implementation takes
its hook's arguments by name and may leave out the ones it does not need.

If several plugins implement a hook, plugins from the ``PLUGINS`` setting are called
first, in the order listed; then plugins from entry points, sorted by distribution and
name; the built-in plugins last. ``tryfirst``, ``trylast`` and ``wrapper=True`` work as
in pluggy.

The hooks of a storage (``open_storage`` and each hook that takes ``storage``) are called
only on the storage plugin that the result backend URL names. A plugin that implements one of
them is a storage, unless the implementation is a wrapper (``wrapper=True``). Wrappers are
called whichever storage is used, so they suit a plugin that only adjusts how results are
stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from django.core.checks import CheckMessage

    from .records import (
        ChordPart,
        ChordProgress,
        ChordRecord,
        Coding,
        Command,
        Contents,
        Expiry,
        ExpiryBatch,
        Retention,
        Serializer,
        StorageLocation,
        StoredGroup,
        StoredPart,
        StoredTask,
        TaskRecord,
        UnfinishedChord,
    )

__all__ = ["API_VERSION", "OBSERVER_HOOKS", "STORAGE_HOOKS"]

#: Version of this contract. A plugin may state the version that it was written for in an
#: attribute ``django_celery_results_api``; with any other number it does not load.
API_VERSION = 1

#: Marks the functions of this module as specifications.
hookspec = pluggy.HookspecMarker("django_celery_results")


# ====================================================================================
# Codec: values to text and back
# ====================================================================================


@hookspec
def contribute_serializers() -> Iterable[Serializer]:  # type: ignore[empty-body]  # a specification
    """Contribute serializers, which ``result_serializer`` can then select by name.

    Called once, when the plugins are loaded; the answers of all plugins are collected.

    :return: The serializers. A name or content type that is already taken is an error.

    An error raised here keeps the plugin from loading.

    .. code-block:: python

        @hookimpl
        def contribute_serializers():
            yield Serializer(name="repr", encode=repr, decode=ast.literal_eval,
                             content_type="text/x-python-literal")

    .. versionadded:: 3.0
    """


@hookspec
def contribute_codings() -> Iterable[Coding]:  # type: ignore[empty-body]  # a specification
    """Contribute content codings, which the setting ``CODINGS`` can then switch on by name.

    Called once, when the plugins are loaded; the answers of all plugins are collected.

    :return: The codings. A name that is already taken is an error.

    An error raised here keeps the plugin from loading.

    .. code-block:: python

        @hookimpl
        def contribute_codings():
            yield Coding(name="lz4", encode=lz4.frame.compress, decode=lz4.frame.decompress)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def encode(
    values: Mapping[str, Any],
    serializer: str,
    codings: Sequence[Coding],
) -> Contents | None:
    """Encode the values of one record (a task, a saved group, or a chord's part or body).

    Called for each record that is stored, once its values are final.
    Stops at the first non-None result. The built-in codec is asked last and always answers.

    :param values: The values to encode, by field name. All are serialized except
        ``traceback``, which is already text. In ``traceback``, ``args`` and ``kwargs``,
        ``None`` means that the value is absent.
    :param serializer: Name of the selected serializer.
    :param codings: The codings that are switched on, in the order to apply them.
    :return: The contents, with the same field names; ``None`` to let another plugin encode.

    An error raised here reaches Celery. If it is a :class:`kombu.exceptions.EncodeError`,
    Celery stores the task as a FAILURE with that reason.

    .. code-block:: python

        @hookimpl
        def encode(values, serializer):
            if serializer == "plain":
                fields = {name: str(value) for name, value in values.items()}
                return Contents(fields=fields, content_type="text/plain",
                                content_encoding="utf-8")

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def decode(
    contents: Contents,
    accept: frozenset[str] | None,
    codings: Mapping[str, Coding],
) -> Mapping[str, Any] | None:
    """Decode the contents of one record according to their content type and encoding.

    Called for each record that is read.
    Stops at the first non-None result. The built-in codec is asked last and always answers.

    :param contents: The contents as stored, perhaps by an older version or under other
        settings.
    :param accept: Content types that may be deserialized; ``None`` allows every type that
        Kombu has not disabled.
    :param codings: Every installed coding by name, whether or not it is switched on. The
        codings of a disabled plugin are included if these contents need one of them.
    :return: The values by field name (a stored ``None`` is a value like any other);
        ``None`` to let another plugin decode.

    An error raised here becomes :class:`~django_celery_results.exceptions.ResultUnreadable`,
    which names the record and affects no other record. Raise its subclass
    ``ResultUnavailable`` if the contents are intact but something needed to read them is
    temporarily missing: an archive then waits instead of keeping the result undecoded, and
    a chord waits instead of failing. ``BackendMisconfigured`` becomes ``ResultUnavailable`` too.

    .. code-block:: python

        @hookimpl
        def decode(contents):
            if contents.content_type == "text/plain":
                return dict(contents.fields)

    .. versionadded:: 3.0
    """


# ====================================================================================
# Persistence: any plugin
# ====================================================================================


@hookspec
def before_store(task: TaskRecord) -> None:
    """Amend the values of a task before they are encoded and stored.

    Called on every plugin, for every state that is stored. Each plugin sees the changes
    that earlier plugins made.

    :param task: The record. Set its attributes, but leave ``task_id`` unchanged. A returned
        copy, or an attribute of a wrong type, is an error.

    An error raised here reaches Celery, and the result is not stored.

    .. code-block:: python

        @hookimpl
        def before_store(task):
            if task.name == "accounts.login":
                task.kwargs = "***"

    .. versionadded:: 3.0
    """


@hookspec
def after_store(task: TaskRecord, stored: StoredTask, written: bool) -> None:
    """Observe a task that has been stored.

    Called on every plugin separately (so a wrapper has nothing to wrap), after the storage
    has answered. The caller's own database transaction, if there is one, may still be open.

    :param task: The values, as the last ``before_store`` left them.
    :param stored: The same task, as the storage received it.
    :param written: False if the storage kept the state it already had: SUCCESS is final.

    An error raised here is logged with the plugin's name; nothing else is affected.

    .. code-block:: python

        @hookimpl
        def after_store(task, written):
            if written and task.is_ready:
                statsd.incr(f"celery.{task.status}")

    .. versionadded:: 3.0
    """


# ====================================================================================
# Persistence: the storage
# ====================================================================================


@hookspec(firstresult=True)
def open_storage(location: StorageLocation) -> Any:
    """Open the place where results are kept, which the result backend URL names.

    Called on the storage plugin when a backend is created: once for each Celery app,
    thread and worker process that uses results. Stops at the first non-None result.

    :param location: The parsed URL. Check its alias and options here. If one is invalid,
        raise ``BackendMisconfigured`` and list the valid ones.
    :return: Any object; the hooks below receive it as ``storage``.
        Plugins that wrap storages read two optional attributes of it, ``using`` and
        ``place``: see :class:`~django_celery_results.records.DescribedStorage`.

    An error raised here reaches the code that asked for the backend; a worker does not start.

    .. code-block:: python

        @hookimpl
        def open_storage(location):
            return sqlite3.connect(f"/{location.path}")

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def store_task(
    storage: Any,
    task: StoredTask,
    present: Callable[[Sequence[str] | None], StoredTask | None],
) -> bool | None:
    """Store the state and result of one task; they must be durable when this returns.

    Called on the storage for every state that is stored.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param task: The encoded task. Where its name, worker or periodic task name, or its
        contents ``args`` or ``kwargs``, are ``None``, the values from an earlier state are
        kept. A wrapper may replace ``contents``.
    :param present: For wrappers that need to know what is being replaced: returns the state
        now stored for the task, or ``None`` if there is none. It takes the names of the
        contents to load (``None`` for all), reads like ``load_tasks`` with ``primary``, and
        raises what ``load_tasks`` raises.
    :return: True if the task is now stored as given. False if the existing state was kept:
        SUCCESS is final, and a task with ``only_if_absent`` (an empty PENDING) overwrites
        nothing, even when several writers compete. A PENDING with a value, such as progress,
        is a state like any other.

    An error raised here leads to a retry if ``can_retry`` says so, and otherwise reaches
    Celery.

    .. code-block:: python

        @hookimpl
        def store_task(storage, task):
            return storage.put(task.task_id, task)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def load_tasks(
    storage: Any,
    task_ids: Sequence[str],
    primary: bool,
    contents: Sequence[str] | None,
) -> Sequence[StoredTask] | None:
    """Load several tasks by their ids in one call.

    Called on the storage when results are read or waited for.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param task_ids: At most a few thousand distinct ids.
    :param primary: True if the answer must include this process's own writes and those of
        finished tasks. Do not read from a replica that may lag behind then.
    :param contents: The names of the contents to load, ``None`` for all. Joining a chord's
        header, for example, needs only ``result``. Returning more is allowed.
    :return: The tasks that exist, in any order. Unknown ids are left out.

    An error raised here leads to a retry if ``can_retry`` says so, and otherwise reaches
    the caller.

    .. code-block:: python

        @hookimpl
        def load_tasks(storage, task_ids):
            return [storage[task_id] for task_id in task_ids if task_id in storage]

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def forget_task(
    storage: Any,
    task_id: str,
    present: Callable[[Sequence[str] | None], StoredTask | None],
) -> bool | None:
    """Delete everything that is stored for a task.

    Called on the storage by ``AsyncResult.forget``.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param task_id: The task's id. An unknown id is not an error.
    :param present: For wrappers that need to know what is being deleted; see ``store_task``.
    :return: Whether there was anything to delete.

    An error raised here reaches the caller of ``AsyncResult.forget``.

    .. code-block:: python

        @hookimpl
        def forget_task(storage, task_id):
            return storage.pop(task_id, None) is not None

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def save_group(storage: Any, group: StoredGroup) -> bool | None:
    """Save which results make up a group (``GroupResult.save``).

    Called on the storage by ``GroupResult.save``.
    Stops at the first non-None result. Saving a group again replaces it.

    :param storage: The object that ``open_storage`` returned.
    :param group: The encoded group.
    :return: True.

    An error raised here reaches the caller of ``GroupResult.save``.

    .. code-block:: python

        @hookimpl
        def save_group(storage, group):
            storage[group.group_id] = group
            return True

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def load_group(storage: Any, group_id: str) -> StoredGroup | None:
    """Load a saved group (``GroupResult.restore``).

    Called on the storage by ``GroupResult.restore``.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param group_id: The group's id.
    :return: The group; ``None`` if it was never saved or has expired.

    An error raised here reaches the caller of ``GroupResult.restore``.

    .. code-block:: python

        @hookimpl
        def load_group(storage, group_id):
            return storage.get(group_id)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def forget_group(storage: Any, group_id: str) -> bool | None:
    """Delete a saved group, but keep the results of its tasks.

    Called on the storage by ``GroupResult.delete``.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param group_id: The group's id. An unknown id is not an error.
    :return: Whether there was anything to delete.

    An error raised here reaches the caller of ``GroupResult.delete``.

    .. code-block:: python

        @hookimpl
        def forget_group(storage, group_id):
            return storage.pop(group_id, None) is not None

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def start_chord(storage: Any, chord: ChordRecord, recount: Callable[[], None]) -> bool | None:
    """Record a chord before its header is sent.

    Called on the storage by the process that applies the chord.
    Stops at the first non-None result. A chord that is already recorded stays unchanged.

    :param storage: The object that ``open_storage`` returned.
    :param chord: The chord's group id, its size, the header's results and the encoded body.
    :param recount: A function that counts the header tasks that have ended, and sends the body
        if it is due. Call it, after the header has been sent, if the record was not visible to
        the header's tasks from the start: for example, when a transaction has ended.
    :return: True if the chord was new.

    An error raised here reaches the caller of ``chord.apply_async``.

    .. code-block:: python

        @hookimpl
        def start_chord(storage, chord):
            return storage.chords.setdefault(chord.group_id, chord) is chord

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def resize_chord(
    storage: Any,
    group_id: str,
    size: int | None,
    added: Sequence[Any],
) -> bool | None:
    """Correct the size of a chord whose header turned out longer or shorter.

    Called on the storage once the header has been sent, and by ``Task.add_to_chord``.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param group_id: The chord's group id. An unknown id is not an error.
    :param size: The number of distinct header tasks; ``None`` if the call only adds results.
    :param added: Results, as tuples, to append to the header's results. Each one increases
        the size of the chord by one.
    :return: Whether anything changed.

    An error raised here reaches the sender of the header, or the task that adds to the chord.

    .. code-block:: python

        @hookimpl
        def resize_chord(storage, group_id, size, added):
            return storage.resize(group_id, size, added)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def chord_part_returned(storage: Any, part: ChordPart) -> ChordProgress | None:
    """Count one finished header task, and decide which caller must send the body.

    Called on the storage by the worker that ran the header task, after storing its result.
    Stops at the first non-None result. A part is counted once, however often it returns.
    When the last distinct part returns, exactly one caller gets ``claimed``. If
    ``finish_chord`` does not follow (because that worker died), the claim lapses after
    ``CHORD_CLAIM_TIMEOUT``, and a part that returns later gets it, marked ``reclaimed``.
    If the same ``claimant`` repeats the call after a connection error, it gets the claim
    that its first try took.

    :param storage: The object that ``open_storage`` returned.
    :param part: The part.
    :return: The progress; ``None`` if the chord is unknown or already finished.

    An error raised here leads to a retry if ``can_retry`` says so, and otherwise reaches
    Celery.

    .. code-block:: python

        @hookimpl
        def chord_part_returned(storage, part):
            waiting = storage.count(part.group_id, part.task_id)
            return ChordProgress(group_id=part.group_id, waiting=waiting,
                                 claimed=not waiting and storage.claim(part.group_id))

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def store_part(storage: Any, task: StoredTask, part: ChordPart) -> StoredPart | None:
    """Store the state of a header task and count it in its chord, in one step.

    For storages that do both in one step faster than in two; other storages do not
    implement it. Called on the storage by the worker when a header task has succeeded. If a
    plugin wraps ``store_task`` or ``chord_part_returned`` but not this hook, the worker calls
    those two instead. Stops at the first non-None result. The state is written as
    ``store_task`` writes it. The part is counted only if it is new and other parts are still
    missing; otherwise ``chord_part_returned`` is called for it, to give the claim.
    An error must undo both the write and the count.

    :param storage: The object that ``open_storage`` returned.
    :param task: The state to store.
    :param part: The part to count.
    :return: Whether the state was written and whether the part was counted; ``None`` if the
        storage cannot do both in one step and has done neither.

    An error raised here is logged, and ``store_task`` and ``chord_part_returned`` are called
    instead, with their retries.

    .. code-block:: python

        @hookimpl
        def store_part(storage, task, part):
            with storage.transaction():
                written = storage.write(task)
                return StoredPart(written=written, counted=storage.count_unless_last(part))

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def finish_chord(storage: Any, group_id: str) -> bool | None:
    """Delete a chord whose body has been sent or has failed for good.

    Called on the storage by the worker that held the claim.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param group_id: The chord's group id. An unknown id is not an error.
    :return: Whether there was anything to delete.

    An error raised here is only logged, because the body has already been sent.

    .. code-block:: python

        @hookimpl
        def finish_chord(storage, group_id):
            return storage.chords.pop(group_id, None) is not None

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def unfinished_chords(storage: Any) -> Iterable[UnfinishedChord] | None:
    """List the chords whose body has not been sent yet.

    Called on the storage by Celery's cleanup and ``manage.py celery_results chords``,
    which finish the chords whose last worker died.
    Stops at the first non-None result. A storage that cannot list its chords leaves
    this hook out; only their own parts can then finish them.

    :param storage: The object that ``open_storage`` returned.
    :return: The chords, including those whose header is still running. Prefer a generator
        that reads as it goes: a chord may change or finish while the caller works on
        earlier ones.

    An error raised here reaches the caller of the cleanup or of the command.

    .. code-block:: python

        @hookimpl
        def unfinished_chords(storage):
            for chord in storage.chords.values():
                yield UnfinishedChord(group_id=chord.group_id, results=chord.results,
                                      counted=chord.counted, waiting=chord.waiting,
                                      body=chord.body)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def can_retry(storage: Any, error: Exception) -> bool | None:
    """Say whether a storage call that failed may succeed if it is repeated.

    Called each time one of the storage's hooks raises, unless the site has set
    ``result_backend_always_retry`` to ``False``. If the answer is yes, the hook is called
    again after Celery's back-off. A storage that has to replace a broken connection does
    so here. Notes that it adds to the error (``__notes__``) are logged with it.
    Stops at the first non-None result.

    :param storage: The object that ``open_storage`` returned.
    :param error: The error that the other hook raised.
    :return: True if the call may be repeated.

    An error raised here replaces the original error.

    .. code-block:: python

        @hookimpl
        def can_retry(storage, error):
            return isinstance(error, ConnectionError)

    .. versionadded:: 3.0
    """


# ====================================================================================
# Expiry
# ====================================================================================


@hookspec(firstresult=True)
def result_retention(task: TaskRecord) -> Retention | None:
    """Say how long one result is kept, from the moment it is stored.

    Called for each result in a final state. Stops at the first non-None result.

    A chord gets its header's results even if their retention ends before the chord does.

    :param task: The values, as the last ``before_store`` left them.
    :return: The retention; ``None`` leaves the decision to ``result_failure_expires``
        (Celery 5.7 and later) and ``result_expires``.

    An error raised here reaches Celery, and the result is not stored.

    .. code-block:: python

        @hookimpl
        def result_retention(task):
            if task.name and task.name.startswith("reports."):
                return Retention(seconds=365 * 24 * 3600)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def expire_results(storage: Any, expiry: Expiry) -> int | None:
    """Delete the results that have expired, in short batches (Celery's cleanup).

    Called on the storage plugin. Stops at the first non-None result. A storage whose
    results expire by themselves returns 0.

    :param storage: The object that ``open_storage`` returned.
    :param expiry: The maximum age, the batch size, the callbacks before and after each batch,
        and ``repeat``, which retries a single batch after a temporary failure.
    :return: The number of results deleted.

    An error raised here reaches Celery's ``celery.backend_cleanup`` task.

    .. code-block:: python

        @hookimpl
        def expire_results(storage, expiry):
            deleted = 0
            for batch in storage.expired(expiry.expires, expiry.batch_size):
                if expiry.before is None or expiry.before(batch):
                    deleted += storage.delete(batch.ids)
                    if expiry.after is not None:
                        expiry.after(batch)
            return deleted

    .. versionadded:: 3.0
    """


@hookspec
def before_expire(batch: ExpiryBatch) -> None:
    """Act on results that are about to be deleted because of their age.

    Called on every plugin, for each batch. A plugin may see a result twice: the deletion
    may fail and be retried, or a worker may die before the deletion is durable.

    :param batch: The results.

    An error raised here keeps the batch. The error is logged with the plugin's name, and
    the next cleanup tries the batch again.

    .. code-block:: python

        @hookimpl
        def before_expire(batch):
            for task in batch.records:
                archive.write(batch.read(task))

    .. versionadded:: 3.0
    """


@hookspec
def after_expire(batch: ExpiryBatch) -> None:
    """Observe results that have been deleted because of their age.

    Called on every plugin separately (so a wrapper has nothing to wrap), for each batch,
    once the deletion is durable. If the code that expires results has a transaction open,
    the hook is called inside that transaction, after the deletion: see ``batch.using``.

    :param batch: The results that were deleted.

    An error raised here is logged with the plugin's name; nothing else is affected.

    .. code-block:: python

        @hookimpl
        def after_expire(batch):
            statsd.incr("celery.expired", len(batch.ids))

    .. versionadded:: 3.0
    """


# ====================================================================================
# Trouble
# ====================================================================================


@hookspec
def storage_retried(storage_name: str, hook: str, error: Exception, wait: float) -> None:
    """Observe that a storage failed and is about to be retried.

    Called on every plugin separately (so a wrapper has nothing to wrap), before each retry.
    Not called once all tries are used up, nor for an error that a retry cannot fix.

    :param storage_name: The name of the storage plugin.
    :param hook: The name of the storage's hook that raised.
    :param error: The error that it raised.
    :param wait: Seconds until the next try.

    An error raised here is logged with the plugin's name; nothing else is affected.

    .. code-block:: python

        @hookimpl
        def storage_retried(storage_name, hook):
            statsd.incr(f"celery.retried.{storage_name}.{hook}")

    .. versionadded:: 3.0
    """


@hookspec
def observer_failed(plugin: str, hook: str, error: Exception) -> None:
    """Observe that another observer raised an error.

    Called on every plugin separately (so a wrapper has nothing to wrap), after an observer
    raised an error and the error was logged.

    :param plugin: The name of the plugin that failed.
    :param hook: The name of the hook that raised: one whose errors are only logged.
    :param error: The error that it raised.

    An error raised here is logged with the plugin's name, without another call of this hook;
    nothing else is affected.

    .. code-block:: python

        @hookimpl
        def observer_failed(plugin, hook):
            statsd.incr(f"celery.failed.{plugin}.{hook}")

    .. versionadded:: 3.0
    """


# ====================================================================================
# The site: settings and commands
# ====================================================================================


@hookspec
def check_settings(  # type: ignore[empty-body]  # a specification
    location: StorageLocation | None,
) -> Iterable[CheckMessage]:
    """Report what is wrong with the plugin's own settings.

    Called by Django's system checks (``manage.py check``, and most other commands) on
    every plugin separately; the answers are collected.

    :param location: Where ``CELERY_RESULT_BACKEND`` points; ``None`` when it does not name a
        storage of this package or of its plugins, or cannot be parsed.
    :return: Messages of :mod:`django.core.checks`, with ids that begin with the plugin's
        name. ``PluginOptions.check`` in :mod:`django_celery_results.options` returns them.

    An error raised here is reported as ``django_celery_results.E017``, with the plugin's name.

    .. code-block:: python

        @hookimpl
        def check_settings():
            yield from options.check()

    .. versionadded:: 3.0
    """


@hookspec
def contribute_commands() -> Iterable[Command]:  # type: ignore[empty-body]  # a specification
    """Add actions to ``manage.py celery_results``.

    Called once, when the plugins are loaded; the answers of all plugins are collected.

    :return: The actions. A name that is already taken is an error.

    An error raised here keeps the plugin from loading.

    .. code-block:: python

        @hookimpl
        def contribute_commands():
            yield Command(name="greet", help="say hello",
                          run=lambda command, options: command.stdout.write("hello"))

    .. versionadded:: 3.0
    """


#: The hooks of a storage, called only on the selected storage plugin.
STORAGE_HOOKS = (
    "open_storage",
    "store_task",
    "load_tasks",
    "forget_task",
    "save_group",
    "load_group",
    "forget_group",
    "start_chord",
    "resize_chord",
    "chord_part_returned",
    "store_part",
    "finish_chord",
    "unfinished_chords",
    "can_retry",
    "expire_results",
)

#: Hooks that only observe: each plugin is called separately, and what one raises is logged.
OBSERVER_HOOKS = ("after_store", "after_expire", "storage_retried", "observer_failed")

#: The hooks for which a wrapper may turn the answer that it was given into ``None``. For every
#: other hook, a wrapper that does so has lost the answer.
NONE_ANSWERS = ("load_group", "unfinished_chords", "can_retry", "result_retention")

#: The hooks that every storage must implement. The core works without the others.
REQUIRED_STORAGE_HOOKS = ("open_storage", "store_task", "load_tasks", "forget_task")
