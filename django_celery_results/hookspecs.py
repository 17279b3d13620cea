"""The contract between the core and its plugins, in the order in which a result meets it.

A plugin is any object (a module, or an instance of a class) with functions marked by
:data:`django_celery_results.hookimpl` under the names below. An implementation takes
any of its hook's arguments, by name, and may leave out those that it does not need.

Where several plugins implement a hook, those from the ``PLUGINS`` setting are called
first, in the order listed; then those from entry points, by distribution and name;
the built-in ones last. ``tryfirst``, ``trylast`` and ``wrapper=True`` are pluggy's.

The hooks of one storage (those that take ``storage``) are called on the storage plugin
that the result backend URL names, and on no other storage. A plugin that only wants
to tweak storing implements them as wrappers (``wrapper=True``), which every storage's
calls go through; a plugin that implements one without ``wrapper`` is a storage.
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

#: Version of this contract. A plugin may say which one it was written for with an
#: attribute ``django_celery_results_api``; another number keeps it from loading.
API_VERSION = 1

#: Marks the functions of this module as specifications.
hookspec = pluggy.HookspecMarker("django_celery_results")


# ====================================================================================
# Codec: values to text and back
# ====================================================================================


@hookspec
def contribute_serializers() -> Iterable[Serializer]:  # type: ignore[empty-body]  # a specification
    """Offer serializers, which ``result_serializer`` may then select by name.

    Called once, when the plugins are loaded; the answers of all plugins are collected.

    :return: The serializers. A name or a content type that is taken already is an error.

    Raising keeps the plugin from loading.

    .. code-block:: python

        @hookimpl
        def contribute_serializers():
            yield Serializer(name="repr", encode=repr, decode=ast.literal_eval,
                             content_type="text/x-python-literal")

    .. versionadded:: 3.0
    """


@hookspec
def contribute_codings() -> Iterable[Coding]:  # type: ignore[empty-body]  # a specification
    """Offer content codings, which the setting ``CODINGS`` may then switch on by name.

    Called once, when the plugins are loaded; the answers of all plugins are collected.

    :return: The codings. A name that is taken already is an error.

    Raising keeps the plugin from loading.

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
    """Encode the values of one record (a task, a saved group or a chord's part).

    Called for each record that is stored, once its values are final.
    Stops at the first non-None result. The built-in codec answers last, and always.

    :param values: What to encode, by field name. All are serialized but ``traceback``,
        which is text already; ``None`` under ``traceback``, ``args`` and ``kwargs``
        means that there is nothing.
    :param serializer: Name of the selected serializer.
    :param codings: The codings that are switched on, in the order to apply them.
    :return: The contents, with the same field names; ``None`` to leave it to others.

    What is raised reaches Celery, which stores the task as a FAILURE with the reason
    when it is a :class:`kombu.exceptions.EncodeError`.

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
    """Decode the contents of one record by what they say of themselves.

    Called for each record that is read.
    Stops at the first non-None result. The built-in codec answers last, and always.

    :param contents: As stored, perhaps by an older version or other settings.
    :param accept: Content types that may be deserialized; ``None`` means all that
        Kombu has not disabled.
    :param codings: Every installed coding by name, switched on or not; and those of a
        disabled plugin, where these contents need one.
    :return: The values by field name (a stored ``None`` is a value like any other);
        ``None`` to leave it to others.

    What is raised becomes :class:`~django_celery_results.exceptions.ResultUnreadable`,
    which names the record, and is raised for that record alone. Raise its subclass
    ``ResultUnavailable`` when nothing is wrong with the contents and what is needed to
    read them is away: an archive then waits instead of keeping what it has, and so does a
    chord instead of failing. ``BackendMisconfigured`` becomes that, too.

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

    Called for every state that is stored, on every plugin; what one sets, the next sees.

    :param task: The record. Set its attributes; ``task_id`` must stay as it is.

    What is raised reaches Celery, and the result is not stored.

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

    Called on every plugin, each by itself (a wrapper has no other to go around), after
    the storage has answered. The caller's own database transaction, if there is one, may
    still be open.

    :param task: The values, as the last ``before_store`` left them.
    :param stored: The same task as it was given to the storage.
    :param written: False when the storage kept what it had: SUCCESS is final.

    What an observer raises is logged with its plugin's name; nothing else is harmed.

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
    """Open the place where results are kept, as the result backend URL says.

    Called on the storage plugin when a backend is made: once for each Celery app,
    thread and worker process that uses results. Stops at the first non-None result.

    :param location: The parsed URL. Check its alias and options here: raise
        ``BackendMisconfigured`` with the valid ones.
    :return: Whatever the plugin wants as the ``storage`` argument of the hooks below.
        Plugins that wrap storages read two optional attributes of it, ``using`` and
        ``place``: see :class:`~django_celery_results.records.DescribedStorage`.

    What is raised reaches whoever asked for the backend: a worker does not start.

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
    """Store the state and result of one task, durably when it returns.

    Called on the storage for every state that is stored.
    Stops at the first non-None result.

    :param storage: What ``open_storage`` returned.
    :param task: The encoded task. Its name, worker and periodic task, and its contents
        ``args`` and ``kwargs``, stay as an earlier state said them where they are ``None``.
        A wrapper may set ``contents`` to others.
    :param present: For wrappers that have to know what is replaced: gives what is stored
        for the task at that moment, ``None`` if nothing is. It takes the names of the
        contents that are wanted, ``None`` for all, and reads like ``load_tasks`` with
        ``primary``; what that raises is raised.
    :return: True when the task is now stored as given; False when what was there stays:
        SUCCESS is final and PENDING overwrites nothing, whoever writes at the same time.

    What is raised is retried when ``can_retry`` says so, and reaches Celery otherwise.

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
    """Load tasks by their ids, many at once.

    Called on the storage when results are read or waited for.
    Stops at the first non-None result.

    :param storage: What ``open_storage`` returned.
    :param task_ids: At most a few thousand distinct ids.
    :param primary: True when a write of this process or of a finished task must be
        seen, so that no replica that lags behind may answer.
    :param contents: The names of the contents that are wanted, ``None`` for all: those of
        a chord's header are joined from their results alone. To give more is no error.
    :return: Those that exist, in any order; an unknown id is left out.

    What is raised is retried when ``can_retry`` says so, and reaches the caller otherwise.

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
    """Delete what is stored for a task.

    Called on the storage by ``AsyncResult.forget``.
    Stops at the first non-None result.

    :param storage: What ``open_storage`` returned.
    :param task_id: The id; an unknown one is no error.
    :param present: For wrappers that have to know what goes: as that of ``store_task``.
    :return: Whether there was anything.

    What is raised reaches the caller of ``AsyncResult.forget``.

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

    :param storage: What ``open_storage`` returned.
    :param group: The encoded group.
    :return: True.

    What is raised reaches the caller of ``GroupResult.save``.

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

    :param storage: What ``open_storage`` returned.
    :param group_id: The id.
    :return: The group; ``None`` when it was never saved or has expired.

    What is raised reaches the caller of ``GroupResult.restore``.

    .. code-block:: python

        @hookimpl
        def load_group(storage, group_id):
            return storage.get(group_id)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def forget_group(storage: Any, group_id: str) -> bool | None:
    """Delete a saved group; the results in it stay.

    Called on the storage by ``GroupResult.delete``.
    Stops at the first non-None result.

    :param storage: What ``open_storage`` returned.
    :param group_id: The id; an unknown one is no error.
    :return: Whether there was anything.

    What is raised reaches the caller of ``GroupResult.delete``.

    .. code-block:: python

        @hookimpl
        def forget_group(storage, group_id):
            return storage.pop(group_id, None) is not None

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def start_chord(storage: Any, chord: ChordRecord) -> bool | None:
    """Note down a chord before its header is sent.

    Called on the storage by whoever applies the chord.
    Stops at the first non-None result. A chord that is known already stays as it is.

    :param storage: What ``open_storage`` returned.
    :param chord: Its group id, its size, the header's results and the encoded body.
    :return: True when it was new.

    What is raised reaches the caller of ``chord.apply_async``.

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

    :param storage: What ``open_storage`` returned.
    :param group_id: The chord's group; an unknown one is no error.
    :param size: The number of distinct header tasks; ``None`` when only adding.
    :param added: Results, as tuples, to be appended to the header's, each making the
        chord one longer.
    :return: Whether anything changed.

    What is raised reaches the sender of the header, or the task that adds.

    .. code-block:: python

        @hookimpl
        def resize_chord(storage, group_id, size, added):
            return storage.resize(group_id, size, added)

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def chord_part_returned(storage: Any, part: ChordPart) -> ChordProgress | None:
    """Count one finished header task, and say who has to send the body.

    Called on the storage by the worker that ran the header task, after storing it.
    Stops at the first non-None result. A part is counted once however often it
    returns; when the last distinct one is in, exactly one caller gets ``claimed``. A
    claim that is not followed by ``finish_chord`` (its worker died) lapses after
    ``CHORD_CLAIM_TIMEOUT``, and a part that returns later is given it as ``reclaimed``.
    When the call is repeated, by the same ``claimant``, after an error of the
    connection, it is given the claim that its first try took.

    :param storage: What ``open_storage`` returned.
    :param part: The part.
    :return: The progress; ``None`` when no such chord is known, or not any more.

    What is raised is retried when ``can_retry`` says so, and reaches Celery otherwise.

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
    """Store the state of a header task, and count it in its chord, in one step.

    For storages that do both at once in less time than one after the other; the rest do
    not implement it. Called on the storage by the worker when a header task has succeeded,
    unless a plugin wraps ``store_task`` or ``chord_part_returned``, and not this hook: these
    two are called then. Stops at the first non-None result. The state is written as
    ``store_task`` writes it. The part is counted only if it is new and others are still to
    come: for one that is not, ``chord_part_returned`` is called, which gives the claim.
    Either both are done or none.

    :param storage: What ``open_storage`` returned.
    :param task: The state to store.
    :param part: The part to count.
    :return: Whether the state was written, and whether the part was counted; ``None`` when
        it cannot be done in one step, and nothing was.

    What is raised is logged, and ``store_task`` and ``chord_part_returned`` are called,
    which are retried.

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
    """Forget a chord whose body has been sent, or failed for good.

    Called on the storage by the worker that had the claim.
    Stops at the first non-None result.

    :param storage: What ``open_storage`` returned.
    :param group_id: The chord's group; an unknown one is no error.
    :return: Whether there was anything.

    What is raised is logged: the body has been sent.

    .. code-block:: python

        @hookimpl
        def finish_chord(storage, group_id):
            return storage.chords.pop(group_id, None) is not None

    .. versionadded:: 3.0
    """


@hookspec(firstresult=True)
def unfinished_chords(storage: Any) -> Iterable[UnfinishedChord] | None:
    """List the chords whose body is still owed.

    Called on the storage by Celery's cleanup and ``manage.py celery_results chords``,
    which finish those whose last worker died.
    Stops at the first non-None result. A storage that cannot list its chords leaves
    this hook out: their own parts alone can finish them.

    :param storage: What ``open_storage`` returned.
    :return: The chords, those under way included. Best read as they are asked for; a
        chord may be finished, or change, while the caller works on those before it.

    What is raised reaches the caller of the cleanup or of the command.

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
    """Say whether an error of the storage may pass if the same call is made again.

    Called after each of the storage's hooks that raised, unless the site has set
    ``result_backend_always_retry`` to ``False``: if the answer is yes, the hook is called
    again after Celery's back-off. A storage that has to replace a broken connection does
    so here. Notes that it puts on the error (``__notes__``) are logged with it.
    Stops at the first non-None result.

    :param storage: What ``open_storage`` returned.
    :param error: What one of the other hooks raised.
    :return: True when it may be retried.

    What is raised takes the place of the error.

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
    """Say how long one result is kept, from the moment when it is stored.

    Stops at the first non-None result. Called for each result in a final state.

    A chord has the results of its header however short they are kept.

    :param task: The values, as the last ``before_store`` left them.
    :return: The retention; ``None`` leaves it to ``result_failure_expires`` (Celery
        5.7 and later) and ``result_expires``.

    What is raised reaches Celery, and the result is not stored.

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
    results expire by themselves answers 0.

    :param storage: What ``open_storage`` returned.
    :param expiry: The age, the size of a batch, whom to tell about each batch, and what
        to call one through so that it alone is made again if it fails for a while.
    :return: How many results were deleted.

    What is raised reaches Celery's ``celery.backend_cleanup`` task.

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
    """Act on results that are about to be deleted for their age.

    Called on every plugin, for each batch. It may see a result twice: the deletion may
    fail and be tried again, and a worker may die before it is durable.

    :param batch: The results.

    Raising keeps the batch, which is logged with the plugin's name and tried again at
    the next cleanup.

    .. code-block:: python

        @hookimpl
        def before_expire(batch):
            for task in batch.records:
                archive.write(batch.read(task))

    .. versionadded:: 3.0
    """


@hookspec
def after_expire(batch: ExpiryBatch) -> None:
    """Observe results that have been deleted for their age.

    Called on every plugin, each by itself (a wrapper has no other to go around), for
    each batch, after the deletion is durable; or after it was made within a transaction
    that whoever expires results has open: see ``batch.using``.

    :param batch: The results that were deleted.

    What an observer raises is logged with its plugin's name; nothing else is harmed.

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
    """Observe that a storage failed, and is about to be tried again.

    Called on every plugin, each by itself (a wrapper has no other to go around), before
    each retry: not when the tries are used up, nor for an error that cannot pass.

    :param storage_name: The name of the storage plugin.
    :param hook: The name of the storage's hook that raised.
    :param error: What it raised.
    :param wait: Seconds until the next try.

    What an observer raises is logged with its plugin's name; nothing else is harmed.

    .. code-block:: python

        @hookimpl
        def storage_retried(storage_name, hook):
            statsd.incr(f"celery.retried.{storage_name}.{hook}")

    .. versionadded:: 3.0
    """


@hookspec
def observer_failed(plugin: str, hook: str, error: Exception) -> None:
    """Observe that a plugin failed to observe.

    Called on every plugin, each by itself (a wrapper has no other to go around), after
    an observer raised and that was logged. What this hook itself raises is logged alone.

    :param plugin: The name of the plugin that failed.
    :param hook: The name of the hook in which it did: one whose errors are logged.
    :param error: What it raised.

    What an observer raises is logged with its plugin's name; nothing else is harmed.

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
def check_settings() -> Iterable[CheckMessage]:  # type: ignore[empty-body]  # a specification
    """Report what is wrong with the plugin's own settings.

    Called by Django's system checks (``manage.py check``, and most other commands) on
    every plugin, each by itself; the answers are collected.

    :return: Messages of :mod:`django.core.checks`, whose ids begin with the plugin's own
        name. ``PluginOptions.check`` of :mod:`django_celery_results.options` gives them.

    Raising is reported as ``django_celery_results.E017``, with the plugin's name.

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

    :return: The actions. A name that is taken already is an error.

    Raising keeps the plugin from loading.

    .. code-block:: python

        @hookimpl
        def contribute_commands():
            yield Command(name="greet", help="say hello",
                          run=lambda command, options: command.stdout.write("hello"))

    .. versionadded:: 3.0
    """


#: The hooks of one storage: called on the selected storage plugin alone.
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

#: Those that a storage cannot do without; the rest have a sensible absence.
REQUIRED_STORAGE_HOOKS = ("open_storage", "store_task", "load_tasks", "forget_task")
