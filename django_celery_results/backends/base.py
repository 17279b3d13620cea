"""Celery's result backend API over the hooks: every method here is called by Celery.

:class:`ResultBackend` knows no storage and no serializer. A third party's storage plugin needs
only an entry point that names this class for its URL scheme, and no subclass::

    [project.entry-points."celery.result_backends"]
    mystore = "django_celery_results.backends:ResultBackend"

    [project.entry-points."django_celery_results"]
    mystore = "mystore.plugin"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

from celery import current_task, states
from celery.backends.base import BaseBackend
from celery.result import GroupResult, result_from_tuple

from ..records import GroupRecord, TaskRecord
from ..registry.calling import Hooks
from ..registry.catalogue import require_serializer
from ..registry.loading import know_serializers
from ..utils import text_id, with_text_ids
from .celery_internals import meta_cache, warn_if_eager, with_text_id
from .chord_parts import ChordParts, is_part
from .chords import Chords
from .cleanup import Expirer
from .failures import raisable
from .results import Results
from .retrying import set_retry_defaults
from .subclasses import adapt, content_of, remembered, require_supported
from .translation import pending_meta, request_facts
from .url import BackendURL, without_secrets
from .waiting import Pace, wait_for, wait_for_many

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.task import Context
    from celery.result import AsyncResult

__all__ = ["ResultBackend"]


@remembered
class ResultBackend(BaseBackend):
    """Celery's result backend over the storage plugin that the URL names.

    Four objects do the work: :attr:`results` stores and loads, :attr:`chords` starts and finishes
    chords, :attr:`chord_parts` counts header tasks, :attr:`expirer` deletes expired results.
    """

    #: The name of the storage plugin; if ``None``, the URL's scheme names it.
    storage_name: ClassVar[str | None] = None

    # Attributes that Celery's Backend sets but its type stubs lack.
    app: Celery
    accept: frozenset[str] | None
    always_retry: bool
    base_sleep_between_retries_ms: int
    compression: str | None
    expires: float | None
    max_retries: float
    max_sleep_between_retries_ms: int
    serializer: str
    url: str | None

    # Celery's methods that look into its cache of metas: ids with the same text have one entry.
    get_task_meta = with_text_id(BaseBackend.get_task_meta)
    reload_task_result = with_text_id(BaseBackend.reload_task_result)
    is_cached = with_text_id(BaseBackend.is_cached)
    forget = with_text_id(BaseBackend.forget)
    get_group_meta = with_text_id(BaseBackend.get_group_meta)
    reload_group_result = with_text_id(BaseBackend.reload_group_result)
    save_group = with_text_id(BaseBackend.save_group)
    delete_group = with_text_id(BaseBackend.delete_group)

    supports_native_join = True
    supports_result_compression = True
    supports_failure_expires = True

    def __init__(
        self,
        app: Celery,
        serializer: str | None = None,
        url: str | None = None,
        **kwargs: Any,
    ) -> None:
        require_supported(type(self))
        address = BackendURL.parse(url or self._configured_url(app))
        # Before Celery looks up the serializer, because loading the plugins registers it.
        self.hooks = Hooks(self.storage_name or address.scheme)
        #: The serializer that the URL or the caller names; ``None`` leaves the choice to Celery.
        self.named_serializer = serializer = serializer or address.serializer
        accepted = app.conf.result_accept_content or app.conf.accept_content or ()
        know_serializers(self.hooks.plugins, accepted)
        require_serializer(serializer or app.conf.result_serializer)
        super().__init__(app, serializer=serializer, url=url, **kwargs)
        set_retry_defaults(self, app)
        # The setting result_compression is new in Celery 5.7, and names a method of Kombu's.
        self.codings = self.hooks.plugins.chosen_codings(getattr(self, "compression", None))
        self.location = address.location(
            self.hooks.storage,
            expires=self.expires or None,
            app=app,
            parameters=self.storage_parameters(),
        )
        self.storage = self.hooks.ask("open_storage", location=self.location)
        self.results = Results(
            self, self.hooks, self.storage, serializer=self.content_serializer, codings=self.codings
        )
        self._adapt(self.results)
        self.chords = Chords(app, self.results)
        self.chord_parts = ChordParts(app, self.results, self.chords)
        self.expirer = Expirer(self.results, self.chords)

    def _configured_url(self, app: Celery) -> str | None:
        """Return the bare word that selects a third party's storage, such as ``mystore``."""
        name = app.backend_cls or app.conf.result_backend
        return name if self.storage_name is None and isinstance(name, str) else None

    def _adapt(self, results: Results) -> None:
        """Make ``results`` call the methods of 2.6 that a site's subclass overrides."""
        adapt(self, results)

    def storage_parameters(self) -> Mapping[str, Any]:
        """Return the parameters that this class gives its storage in addition to the URL."""
        return {}

    @property
    def content_serializer(self) -> str:
        """The name of the serializer for contents; ``serializer`` is for exceptions."""
        return self.serializer

    def as_uri(self, include_password: bool = False) -> str:
        """Return the URL of the backend, by default without its password and options."""
        url = self.url or f"{self.hooks.storage}://"
        # Celery's method adds a slash after the alias, and cannot parse an underscore in a scheme.
        return url if include_password else without_secrets(url)

    def __reduce__(self, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        own = {"url": self.url, "expires": self.expires, "serializer": self.named_serializer}
        reduce: Any = super().__reduce__
        return reduce(args, {**own, **(kwargs or {})})

    # -- Retrying --------------------------------------------------------------------

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether the storage allows a retry of the call that raised ``exc``."""
        return self.results.can_retry(exc)

    def _ensure_retryable(
        self, func: Callable[..., Any], *args: Any, max_retries: float | None = None, **kwargs: Any
    ) -> Any:
        """Call ``func``, and allow ``max_retries`` retries of each storage call in it.

        This replaces Celery's retry loop, because each storage call has its own loop.
        """
        # Celery raises these when its retries run out; here Results chooses the error.
        for name in ("fallback_exc", "fallback_msg"):
            kwargs.pop(name, None)
        if max_retries is None:
            return func(*args, **kwargs)
        with self.results.retrying.limited(max_retries):
            return func(*args, **kwargs)

    # -- Tasks: storing --------------------------------------------------------------

    def mark_as_done(
        self,
        task_id: str,
        result: Any,
        request: Context | None = None,
        store_result: bool = True,
        state: str = states.SUCCESS,
    ) -> None:
        """Store the result of a task; if it is a header task of a chord, count it."""
        if is_part(request) and not self.results.counts_by_subclass:
            self.chord_parts.expect(request)
        super().mark_as_done(task_id, result, request, store_result, state)

    def _store_result(
        self,
        task_id: str,
        result: Any,
        status: str | None,
        traceback: str | None = None,
        request: Context | None = None,
        using: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Store the state and the prepared result of one task; return the result."""
        task_id = text_id(task_id)
        status = self._state_to_keep(task_id) if status is None else status
        task = self._record(task_id, result, status, traceback, request)
        task.using = using
        stored = self.results.prepare(task)
        if is_part(request):
            written = self.chord_parts.store(request, stored)
        else:
            written = self.results.store(stored)
        self.results.announce(task, stored, written)
        return result

    def _state_to_keep(self, task_id: str) -> str:
        """Return the state for ``update_state(meta=...)``, which does not name one.

        It is the stored state. A task that reports progress is running, so where nothing is
        stored, or the stored state says that the task waits or has failed, it is STARTED.
        """
        found = self.results.load([task_id], primary=True, contents=())
        status = found[0].status if found else states.PENDING
        is_running = status != states.PENDING and status not in states.EXCEPTION_STATES
        return status if is_running else states.STARTED

    def _record(
        self,
        task_id: str,
        result: Any,
        status: str,
        traceback: str | None,
        request: Context | None,
    ) -> TaskRecord:
        args, kwargs = self.request_arguments(request)
        return TaskRecord(
            task_id=task_id,
            status=status,
            result=result,
            traceback=traceback,
            meta=self._request_meta(request),
            args=args,
            kwargs=kwargs,
            headers=getattr(request, "headers", None),
            date_done=datetime.now(self.app.timezone) if status in states.READY_STATES else None,
            **request_facts(request),
        )

    def request_arguments(self, request: Context | None) -> tuple[Any, Any]:
        """Return the arguments to store: the reprs in the task's message if it has them.

        Celery's message protocol 2 carries the reprs (its docs: argsrepr, kwargsrepr);
        protocol 1 has only the values.
        """
        args = getattr(request, "argsrepr", None)
        kwargs = getattr(request, "kwargsrepr", None)
        return (
            getattr(request, "args", None) if args is None else args,
            getattr(request, "kwargs", None) if kwargs is None else kwargs,
        )

    def _request_meta(self, request: Context | None) -> dict[str, Any]:
        own = self._get_meta_from_request(request)
        if not isinstance(own, Mapping):
            # Usually None. Any other value is ignored, so that the result is stored all the same.
            own = {}
        children = self.current_task_children(request)
        return {**own, "children": children and [with_text_ids(one) for one in children]}

    def _get_meta_from_request(self, request: Context | None = None) -> Any:
        """Return what the task put into ``request.meta``; as in 2.6, a subclass may override it."""
        source = request or getattr(current_task, "request", None)
        return getattr(source, "meta", None) or {}

    def _forget(self, task_id: str) -> None:
        self.results.forget(text_id(task_id))

    # -- Tasks: reading and waiting --------------------------------------------------

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        """Return the meta of one task, from the storage."""
        task_id = text_id(task_id)
        found = self.results.load([task_id])
        return self.results.meta_by_hooks(found[0]) if found else pending_meta(task_id)

    def exception_to_python(self, exc: Any) -> Any:
        """Return the exception that a stored failure stands for, ``None`` for ``None``.

        Anything that is no exception, or must not be raised, becomes a :class:`TaskFailed`.
        """
        return None if exc is None else raisable(exc, super().exception_to_python)

    def task_result_exists(self, task_id: str) -> bool:
        """Return whether anything is stored for the task, whatever its state."""
        return bool(self.results.load([text_id(task_id)], contents=()))

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> dict[str, Any]:
        """Return the task's meta once it is in a final state.

        ``interval`` is the longest wait between two reads, ``timeout`` the longest wait in
        total, both in seconds. Raises :exc:`celery.exceptions.TimeoutError`.
        """
        warn_if_eager(self)
        pace = Pace(timeout, interval)
        return wait_for(lambda: self.get_task_meta(task_id), pace, on_interval)

    def get_many(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float | None = 0.5,
        no_ack: bool = True,
        on_message: Callable[[dict[str, Any]], Any] | None = None,
        on_interval: Callable[[], Any] | None = None,
        max_iterations: int | None = None,
        READY_STATES: Iterable[str] = states.READY_STATES,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the id and the meta of each task as it reaches one of ``READY_STATES``.

        A result that cannot be read is yielded as a failure with its error. Raises
        :exc:`celery.exceptions.TimeoutError` after ``timeout`` seconds.
        """
        warn_if_eager(self)
        yield from wait_for_many(
            self.results,
            meta_cache(self),
            task_ids,
            Pace(timeout, interval),
            on_message=on_message,
            on_interval=on_interval,
            max_iterations=max_iterations,
            ready_states=READY_STATES,
        )

    # -- Groups ----------------------------------------------------------------------

    def _save_group(self, group_id: str, result: GroupResult) -> GroupResult:
        group = GroupRecord(group_id=group_id, result=with_text_ids(result.as_tuple()))
        self.results.save_group(group)
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        """Return the meta of a saved group, or ``None`` when there is none."""
        group = self.results.load_group(group_id)
        if group is None:
            return None
        saved = cast("Any", group.result)
        result = result_from_tuple(saved, app=self.app) if saved else None
        return {"group_id": group_id, "result": result, "date_done": group.date_done}

    def _delete_group(self, group_id: str) -> None:
        self.results.forget_group(group_id)

    # -- Chords ----------------------------------------------------------------------

    def apply_chord(self, header_result_args: Sequence[Any], body: Any, **kwargs: Any) -> None:
        """Record the chord before its header is sent (called by Celery's ``chord``)."""
        group_id, members = header_result_args[:2]
        results = [with_text_ids(result.as_tuple()) for result in members]
        self.chords.start(text_id(group_id), results, body)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        """Correct the size, which Celery knows for certain only after it has walked the header."""
        self.chords.resize(text_id(group_id), size=chord_size)

    def add_to_chord(self, chord_id: str, result: AsyncResult[Any]) -> None:
        """Add one header task to a running chord (``Task.add_to_chord``)."""
        self.chords.resize(text_id(chord_id), added=[with_text_ids(result.as_tuple())])

    def on_chord_part_return(
        self, request: Context, state: str, result: Any, **kwargs: Any
    ) -> None:
        """Count a finished header task; send the body if it was the last one."""
        if request.id and request.group:
            self.chord_parts.count(request, state, result)

    # -- Cleaning up -----------------------------------------------------------------

    def cleanup(self) -> None:
        """Finish chords whose worker died, and delete expired results.

        Celery's ``celery.backend_cleanup`` calls this daily.
        """
        self.expirer.run(self.expires or None)

    # -- What 2.6's subclasses call --------------------------------------------------

    def encode_content(self, data: Any) -> tuple[str, str, Any]:
        """Return the content type, the content encoding and the stored form of ``data``."""
        contents = self.results.encode_by_hooks({"result": data})
        return contents.content_type, contents.content_encoding, contents.fields["result"]

    def decode_content(self, obj: Any, content: Any) -> Any:
        """Return the value of ``content``; ``obj`` has its content type and content encoding."""
        return content_of(self.results, obj, content) if content else None
