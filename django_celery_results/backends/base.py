"""The bridge: Celery's result backend API on one side, the hooks on the other.

:class:`ResultBackend` knows no storage and no serializer. A storage plugin of a third
party is used by naming this class for its URL scheme, without a subclass::

    [project.entry-points."celery.result_backends"]
    mystore = "django_celery_results.backends:ResultBackend"

    [project.entry-points."django_celery_results"]
    mystore = "mystore.plugin"
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

from celery import states
from celery._state import get_current_task
from celery.backends.base import BaseBackend
from celery.result import GroupResult, result_from_tuple
from celery.utils.serialization import get_pickled_exception
from kombu.exceptions import EncodeError
from kombu.utils.encoding import bytes_to_str

from ..conf import results_settings
from ..contributions import kombus_name, require_serializer
from ..exceptions import BackendMisconfigured, HookError, ResultUnavailable, ResultUnreadable
from ..hooks import Hooks
from ..readers import know_serializers, readers_of
from ..records import (
    Coding,
    Contents,
    GroupRecord,
    Retention,
    StorageLocation,
    StoredGroup,
    StoredTask,
    TaskRecord,
)
from .chords import ChordMixin
from .cleanup import CleanupMixin
from .location import BackendURL, without_secrets
from .retrying import RetryingMixin
from .translation import (
    pending_meta,
    reduced,
    request_facts,
    stored_task,
    task_meta,
    task_record,
    values_of,
)
from .waiting import WaitingMixin

if TYPE_CHECKING:
    from celery import Celery
    from celery.app.task import Context

__all__ = ["ResultBackend"]

logger = logging.getLogger(__name__)

#: Ids that one call of ``load_tasks`` asks for.
CHUNK = 1000


class ResultBackend(WaitingMixin, ChordMixin, CleanupMixin, RetryingMixin, BaseBackend):
    """Celery's result backend over whichever storage plugin the URL names."""

    #: The storage plugin; where it is not set the URL's scheme names it.
    storage_name: ClassVar[str | None] = None

    # What Celery's Backend sets and its stubs do not say.
    accept: frozenset[str] | None
    compression: str | None
    expires: float | None
    serializer: str
    url: str | None

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
        address = BackendURL.parse(url or self._configured_url(app))
        # Before Celery looks for the serializer: loading plugins is what registers it.
        self.hooks = Hooks(self.storage_name or address.scheme)
        options = dict(address.options)
        named = options.pop("serializer", None)
        #: The serializer that the URL or the caller names; ``None`` leaves it to Celery.
        self.named_serializer = serializer = serializer or named
        accepted = app.conf.result_accept_content or app.conf.accept_content or ()
        know_serializers(self.hooks.plugins, accepted)
        require_serializer(serializer or app.conf.result_serializer)
        super().__init__(app, serializer=serializer, url=url, **kwargs)
        self.codings = self._chosen_codings()
        self.location = StorageLocation(
            name=self.hooks.storage,
            alias=address.alias,
            path=address.path,
            options=options,
            expires=self.expires or None,
            app=app,
            parameters=self.storage_parameters(),
        )
        self.storage = self.hooks.ask("open_storage", location=self.location)

    def _configured_url(self, app: Celery) -> str | None:
        """Return the bare word that selected a third party's storage, such as ``mystore``."""
        name = app.backend_cls or app.conf.result_backend
        return name if self.storage_name is None and isinstance(name, str) else None

    def storage_parameters(self) -> Mapping[str, Any]:
        """Return what this class tells its storage besides the URL."""
        return {}

    @property
    def content_serializer(self) -> str:
        """The name of the serializer for contents; ``serializer`` is the one for exceptions."""
        return self.serializer

    def _chosen_codings(self) -> list[Coding]:
        # Celery has result_compression since 5.7, and means Kombu's methods by it.
        compression = getattr(self, "compression", None)
        names = [kombus_name(compression) or compression] if compression else []
        plugins = self.hooks.plugins
        chosen = []
        for name in [*names, *results_settings.codings]:
            coding = plugins.coding(name)
            if coding is None:
                raise BackendMisconfigured(
                    f"Content coding {name!r} in DJANGO_CELERY_RESULTS['CODINGS'] "
                    f"{plugins.contributions.missing(name)}. "
                    f"Installed: {', '.join(sorted(plugins.contributions.codings))}."
                )
            chosen.append(coding)
        return chosen

    def as_uri(self, include_password: bool = False) -> str:
        """Return the URL of the backend, by default without its password and options."""
        url = self.url or f"{self.hooks.storage}://"
        # Celery's own puts a slash behind the alias, and knows no scheme with an underscore.
        return url if include_password else without_secrets(url)

    def __reduce__(self, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        own = {"url": self.url, "expires": self.expires, "serializer": self.named_serializer}
        reduce: Any = super().__reduce__
        return reduce(args, {**own, **(kwargs or {})})

    # -- Tasks: storing --------------------------------------------------------------

    def _store_result(
        self,
        task_id: str,
        result: Any,
        status: str,
        traceback: str | None = None,
        request: Context | None = None,
        using: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Store the state and the prepared result of one task; return the result."""
        task = self._record(task_id, result, status, traceback, request)
        task.using = using
        self.hooks.call("before_store", task=task)
        if task.task_id != bytes_to_str(task_id):
            raise HookError(
                f"A before_store hook changed the id of task {task_id!r} to "
                f"{task.task_id!r}; every attribute may be set but the id"
            )
        extended = bool(self.app.conf.result_extended)
        contents = self._encode_task(task, extended)
        stored = stored_task(task, contents, self._retention(task), extended=extended)
        written = self._store(request, stored)
        self.hooks.observe("after_store", task=task, stored=stored, written=written)
        return result

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
            task_id=bytes_to_str(task_id),
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
        """Return the task's arguments as they are kept: the message's reprs if it has them.

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
        source = request or getattr(get_current_task(), "request", None)
        own = getattr(source, "meta", None)
        if not isinstance(own, Mapping):
            # None as a rule; anything else is no meta, and not worth losing a result for.
            own = {}
        return {**own, "children": self.current_task_children(request)}

    def _encode_task(self, task: TaskRecord, extended: bool) -> Contents:
        try:
            return self._encode_values(values_of(task, extended=extended))
        except EncodeError:
            return self._encode_values(values_of(reduced(task), extended=extended))

    def _encode_values(self, values: Mapping[str, Any]) -> Contents:
        contents = self.hooks.ask(
            "encode", values=values, serializer=self.content_serializer, codings=self.codings
        )
        if not isinstance(contents, Contents):
            raise HookError(
                f"The hook 'encode' has to give Contents, not {type(contents).__name__}"
            )
        return contents

    def _retention(self, task: TaskRecord) -> Retention | None:
        if not task.is_ready:
            return None
        retention: Retention | None = self.hooks.call("result_retention", task=task)
        if retention is None and task.status == states.FAILURE:
            # A setting of Celery 5.7; absent from the conf of earlier ones.
            expires = self.app.conf.get("result_failure_expires")
            if expires is not None:
                return Retention(seconds=self.prepare_expires(expires) or None)
        return retention

    # -- Tasks: reading --------------------------------------------------------------

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        """Return the meta of one task, from the storage."""
        task_id = bytes_to_str(task_id)
        found = self._load([task_id])
        return self._meta(found[0]) if found else pending_meta(task_id)

    def task_result_exists(self, task_id: str) -> bool:
        """Return whether anything is stored for the task, whatever its state."""
        return bool(self._load([bytes_to_str(task_id)], contents=()))

    def _load(
        self,
        task_ids: list[str],
        primary: bool = False,
        contents: Sequence[str] | None = None,
    ) -> list[StoredTask]:
        found: list[StoredTask] = []
        for start in range(0, len(task_ids), CHUNK):
            chunk = task_ids[start : start + CHUNK]
            found += self._require("load_tasks", task_ids=chunk, primary=primary, contents=contents)
        return found

    def _meta(self, stored: StoredTask) -> dict[str, Any]:
        """Return a stored task's meta, its result as Celery's callers expect it."""
        values = self._values_of(stored)
        try:
            meta = self.meta_from_decoded(task_meta(stored, values))
        except Exception as error:
            # Readable, but not what Celery makes of a failure, or a meta that is no mapping.
            raise ResultUnreadable(
                f"The stored result of task {stored.task_id!r} is not one of Celery's: {error}"
            ) from error
        if isinstance(meta["result"], BaseException):
            # Written by a serializer that keeps exceptions, whichever is selected now.
            meta["result"] = get_pickled_exception(cast("Exception", meta["result"]))
        return meta

    def _meta_or_error(self, stored: StoredTask, *, can_wait: bool = False) -> dict[str, Any]:
        """Return a stored task's meta; for one that cannot be read, its error as a failure.

        So that one corrupt row among many stays the trouble of that one alone. To whoever
        ``can_wait``, :class:`ResultUnavailable` is raised.
        """
        try:
            return self._meta(stored)
        except Exception as error:
            if can_wait and isinstance(error, ResultUnavailable):
                raise
            logger.exception("The result of task %s cannot be read", stored.task_id)
            return {**pending_meta(stored.task_id), "status": states.FAILURE, "result": error}

    def get_task_metas(self, task_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return the meta of each task by its id, reading a thousand of them at once.

        That of a task of which nothing is stored is pending. That of one that cannot be
        read is a failure, whose result is the :class:`ResultUnreadable`.
        """
        metas = {one: pending_meta(one) for one in map(bytes_to_str, task_ids)}
        for stored in self._load(list(metas)):
            metas[stored.task_id] = self._meta_or_error(stored)
        return metas

    def _decode_task(self, stored: StoredTask) -> TaskRecord:
        return task_record(stored, self._values_of(stored))

    def _values_of(self, stored: StoredTask) -> Mapping[str, Any]:
        return self._decode(f"task {stored.task_id!r}", stored.contents)

    def _decode(self, what: str, contents: Contents) -> Mapping[str, Any]:
        try:
            values: Mapping[str, Any] = self.hooks.ask(
                "decode",
                contents=contents,
                accept=self.accept,
                codings=readers_of(self.hooks.plugins, contents),
            )
            if not isinstance(values, Mapping):
                raise HookError(  # noqa: TRY301 - so that it names the record
                    f"the hook 'decode' has to give a mapping, not {type(values).__name__}"
                )
        except Exception as error:
            # A setting that is wrong is mended, and says nothing about the result.
            is_away = isinstance(error, (ResultUnavailable, BackendMisconfigured))
            error_class = ResultUnavailable if is_away else ResultUnreadable
            unreadable = error_class(f"The stored result of {what} cannot be read: {error}")
            # Which plugin it came out of; noted on Python 3.10 too.
            unreadable.__notes__ = list(getattr(error, "__notes__", ()))  # type: ignore[attr-defined]  # Python 3.11's
            raise unreadable from error
        return values

    def _forget(self, task_id: str) -> None:
        self._require("forget_task", task_id=bytes_to_str(task_id))

    # -- Groups ----------------------------------------------------------------------

    def _save_group(self, group_id: str, result: GroupResult) -> GroupResult:
        contents = self._encode_values({"result": result.as_tuple()})
        group = StoredGroup(group_id=group_id, contents=contents)
        self._require("save_group", group=group)
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        """Return the meta of a saved group, or ``None`` when there is none."""
        group: StoredGroup | None = self._persist("load_group", group_id=group_id)
        if group is None:
            return None
        saved = self._decode_group(group).result
        result = result_from_tuple(cast("Any", saved), app=self.app) if saved else None
        return {"group_id": group_id, "result": result, "date_done": group.date_done}

    def _decode_group(self, stored: StoredGroup) -> GroupRecord:
        values = self._decode(f"group {stored.group_id!r}", stored.contents)
        result = values.get("result") or ()
        return GroupRecord(group_id=stored.group_id, result=result, date_done=stored.date_done)

    def _delete_group(self, group_id: str) -> None:
        self._require("forget_group", group_id=group_id)

    # -- What 2.6's subclasses call --------------------------------------------------

    def encode_content(self, data: Any) -> tuple[str, str, Any]:
        """Return the content type, the content encoding and the stored form of ``data``."""
        contents = self._encode_values({"result": data})
        return contents.content_type, contents.content_encoding, contents.fields["result"]

    def decode_content(self, obj: Any, content: Any) -> Any:
        """Return the value of ``content``, encoded as ``obj.content_type`` and so on say."""
        if not content:
            return None
        contents = Contents(
            fields={"result": content},
            content_type=obj.content_type or "application/json",
            content_encoding=obj.content_encoding or "utf-8",
        )
        return self._decode(str(obj), contents)["result"]
