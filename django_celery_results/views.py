"""The views of the JSON endpoints.

They read through the current Celery app, so they work with any result backend. If a
result cannot be read (a corrupt row, a coding that is not installed), the cause is
logged and the answer has an ``"error"`` in addition to the usual keys. For a single task,
or the group itself, the status is then 500; for one task of a group, the error is in that
task's entry of the list. The answer gives no cause, because callers are not authenticated.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from celery import states
from celery.exceptions import SecurityError
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, JsonResponse
from django.utils.translation import gettext as _
from kombu.exceptions import KombuError
from kombu.utils.encoding import safe_repr

from . import former_names
from .exceptions import IdTooLong, ResultUnreadable
from .records import leaf_ids
from .utils import text_id, with_text_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.http import HttpRequest

    from .records import ResultTuple

    _Metas = Mapping[str, Mapping[str, Any]]

__all__ = ["group_status", "is_group_successful", "is_task_successful", "task_status"]

logger = logging.getLogger(__name__)

#: Errors of reading a result. Kombu raises the first, for content that cannot be decoded. Celery's
#: own backends raise the others, for a failure whose stored value is no exception.
UNREADABLE = (KombuError, SecurityError, TypeError, ValueError)


def is_task_successful(request: HttpRequest, task_id: str) -> JsonResponse:  # noqa: ARG001  Django passes it
    """Answer whether the task succeeded: ``{"task": {"id", "executed"}}``."""
    return _answer("task", task_id, _task_done, NOT_DONE)


def task_status(request: HttpRequest, task_id: str) -> JsonResponse:  # noqa: ARG001  Django passes it
    """Answer the task's state and result: ``{"task": {"id", "status", "result"}}``.

    For a failure, ``result`` is the exception's repr, ``exc`` the full name of its class and
    ``traceback`` the stored text. A result that JSON cannot represent is answered as its
    repr. An unknown task is PENDING.
    """
    return _answer("task", task_id, _task_status, NO_STATUS)


def is_group_successful(request: HttpRequest, group_id: str) -> JsonResponse:  # noqa: ARG001  Django passes it
    """Answer which tasks succeeded: ``{"group": {"id", "results": [{"id", "executed"}]}}``.

    The list is empty if the group does not exist.
    """
    return _answer("group", group_id, _group_done, NO_RESULTS)


def group_status(request: HttpRequest, group_id: str) -> JsonResponse:  # noqa: ARG001  Django passes it
    """Answer each task's state: ``{"group": {"id", "results": [{"result", "status"}]}}``.

    The result of a nested group is the list of its own results. If the group does not
    exist, the answer is an empty list and ``"error"``, with status 404.
    """
    return _answer("group", group_id, _group_status, NO_RESULTS)


NOT_DONE = {"executed": False}
NO_STATUS = {"status": None, "result": None}
NO_RESULTS: dict[str, Any] = {"results": []}


def _answer(
    kind: str, stored_id: str, read: Callable[[str], dict[str, Any]], blank: dict[str, Any]
) -> JsonResponse:
    status, stored_id = 200, text_id(stored_id)
    try:
        details = read(stored_id)
    except (Http404, IdTooLong) as error:
        status, details = 404, {**blank, "error": str(error)}
    except UNREADABLE:
        logger.exception("The result of %s cannot be read", stored_id)
        status, details = 500, _unreadable(blank)
    return JsonResponse({kind: {"id": stored_id, **details}}, status=status)


def _unreadable(blank: dict[str, Any]) -> dict[str, Any]:
    return {**blank, "error": _("The stored result cannot be read.")}


def _task_done(task_id: str) -> dict[str, Any]:
    from celery.result import AsyncResult

    return {"executed": AsyncResult(task_id).successful()}


def _task_status(task_id: str) -> dict[str, Any]:
    from celery.result import AsyncResult
    from celery.utils import get_full_cls_name

    # A single read, so that the state and the result belong to the same moment.
    meta = AsyncResult(task_id).backend.get_task_meta(task_id)
    state, value = meta["status"], meta["result"]
    details = {"status": state, "result": presentable(value)}
    if state in states.EXCEPTION_STATES:
        details["result"] = safe_repr(value)
        details["exc"] = get_full_cls_name(type(value))
        details["traceback"] = meta.get("traceback")
    return details


def _group_done(group_id: str) -> dict[str, Any]:
    group = _restore(group_id)
    if group is None:
        return NO_RESULTS
    members = with_text_ids(group.as_tuple())[1]
    metas = _metas(group.backend, members)
    return {"results": [_member_done(member, metas) for member in members]}


def _group_status(group_id: str) -> dict[str, Any]:
    group = _restore(group_id)
    if group is None:
        raise Http404(_("There is no group with this id."))
    members = with_text_ids(group.as_tuple())[1]
    metas = _metas(group.backend, members)
    return {"results": [_member_status(member, metas) for member in members]}


def _restore(group_id: str) -> Any:
    from celery.result import GroupResult

    return GroupResult.restore(group_id)


def _metas(backend: Any, members: Sequence[ResultTuple]) -> _Metas:
    """Return each task's meta by id, in one call if the backend is this package's."""
    from .backends import ResultBackend

    task_ids = leaf_ids(members)
    if isinstance(backend, ResultBackend):
        return backend.results.metas(task_ids)
    return {task_id: _meta(backend, task_id) for task_id in task_ids}


def _meta(backend: Any, task_id: str) -> Mapping[str, Any]:
    """Return a task's meta from another package's backend, in the form that ours return."""
    try:
        meta: Mapping[str, Any] = backend.get_task_meta(task_id)
    except UNREADABLE as error:
        logger.exception("The result of %s cannot be read", task_id)
        return {"status": None, "result": ResultUnreadable(str(error))}
    return meta


def _member_done(member: ResultTuple, metas: _Metas) -> dict[str, Any]:
    (member_id, _parent), _children = member
    own = [metas[task_id] for task_id in leaf_ids([member])]
    if any(map(_is_unreadable, own)):
        return {"id": member_id, **_unreadable(NOT_DONE)}
    executed = all(meta["status"] == states.SUCCESS for meta in own)
    return {"id": member_id, "executed": executed}


def _member_status(member: ResultTuple, metas: _Metas) -> dict[str, Any]:
    (member_id, _parent), children = member
    if children is not None:
        results = [_member_status(child, metas) for child in children]
        return {"result": results, "status": _common_state([one["status"] for one in results])}
    meta = metas[member_id]
    if _is_unreadable(meta):
        return _unreadable(NO_STATUS)
    return {"result": presentable(meta["result"]), "status": meta["status"]}


def _is_unreadable(meta: Mapping[str, Any]) -> bool:
    return isinstance(meta["result"], ResultUnreadable)


def _common_state(members: list[str | None]) -> str:
    if states.PROPAGATE_STATES.intersection(members):
        return states.FAILURE
    return states.SUCCESS if set(members) == {states.SUCCESS} else states.PENDING


def presentable(value: Any) -> Any:
    """Return ``value`` if JSON can represent it, else its repr.

    NaN and the infinities are not valid JSON, although Python writes them by default.
    """
    try:
        json.dumps(value, cls=DjangoJSONEncoder, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return safe_repr(value)
    return value


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
