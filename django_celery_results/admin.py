"""The Django admin pages for task and group results.

Both are read-only unless ``DJANGO_CELERY_RESULTS["ALLOW_EDITS"]`` is true. A site may
subclass these admin classes and register them for its own proxy models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import current_app, states
from django.contrib import admin, messages
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from . import former_names
from .conf import results_settings
from .models import GroupResult, TaskResult

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet
    from django.db.models.options import Options
    from django.http import HttpRequest

    TaskModelAdmin = admin.ModelAdmin[TaskResult]
    GroupModelAdmin = admin.ModelAdmin[GroupResult]
else:
    # Django's class takes no type parameters at run time.
    TaskModelAdmin = GroupModelAdmin = admin.ModelAdmin

__all__ = ["GroupResultAdmin", "TaskResultAdmin"]

#: Timeout in seconds for an action's connection to the broker.
BROKER_TIMEOUT = 5


def shown_only(opts: Options[Any], when_editable: Sequence[str]) -> list[str]:
    """Return a page's read-only fields. The setting is read again on each call."""
    if results_settings.allow_edits:
        return list(when_editable)
    # Not local_fields, which is empty for a proxy model.
    names = [field.name for field in opts.concrete_fields]
    return [*names, *(name for name in when_editable if name not in names)]


@admin.register(TaskResult)
class TaskResultAdmin(TaskModelAdmin):
    """The results of tasks."""

    model = TaskResult
    date_hierarchy = "date_done"
    list_display = (
        "task_id",
        "periodic_task_name",
        "task_name",
        "completed",
        "status",
        "worker",
    )
    list_filter = ("status", "date_done", "periodic_task_name", "task_name", "worker")
    # The date of the last write is not on the page, but may be in a subclass's fieldsets.
    readonly_fields = (
        "date_created",
        "date_started",
        "date_done",
        "completed",
        "result",
        "meta",
    )
    search_fields = ("task_name", "task_id", "status", "task_args", "task_kwargs")
    show_full_result_count = False
    actions = ("terminate_tasks",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "task_id",
                    "task_name",
                    "periodic_task_name",
                    "status",
                    "worker",
                    "content_type",
                    "content_encoding",
                ),
                "classes": ("extrapretty", "wide"),
            },
        ),
        (
            _("Parameters"),
            {"fields": ("task_args", "task_kwargs"), "classes": ("extrapretty", "wide")},
        ),
        (
            _("Result"),
            {
                "fields": (
                    "result",
                    "date_created",
                    "date_started",
                    "completed",
                    "traceback",
                    "meta",
                ),
                "classes": ("extrapretty", "wide"),
            },
        ),
    )

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002  Django passes it
        obj: TaskResult | None = None,  # noqa: ARG002  Django passes it
    ) -> list[str]:
        """Return every field, or with ``ALLOW_EDITS`` only the dates, the result and the meta."""
        return shown_only(self.opts, self.readonly_fields)

    @admin.display(description=_("Completed DateTime"), ordering="date_done")
    def completed(self, task: TaskResult) -> datetime | None:
        """Return when the task ended, or ``None`` if it has not.

        ``date_done`` itself changes with every state that is stored.
        """
        return task.date_done if task.status in states.READY_STATES else None

    @admin.action(permissions=["change"], description=_("Terminate selected tasks"))
    def terminate_tasks(self, request: HttpRequest, queryset: QuerySet[TaskResult]) -> None:
        """Ask the workers to end the selected tasks that are still unfinished."""
        unfinished = queryset.exclude(status__in=states.READY_STATES)
        task_ids = list(unfinished.values_list("task_id", flat=True))
        if not task_ids:
            text = gettext("All of the selected tasks have already ended.")
            self.message_user(request, text, messages.WARNING)
            return
        try:
            terminate(task_ids)
        except OperationalError as error:
            text = gettext("The message broker cannot be reached, so no task was ended: %(error)s")
            self.message_user(request, text % {"error": error}, messages.ERROR)
            return
        text = ngettext(
            "Asked the workers to end %(count)d task.",
            "Asked the workers to end %(count)d tasks.",
            len(task_ids),
        )
        self.message_user(request, text % {"count": len(task_ids)}, messages.SUCCESS)


@admin.register(GroupResult)
class GroupResultAdmin(GroupModelAdmin):
    """The results of groups."""

    model = GroupResult
    date_hierarchy = "date_done"
    list_display = ("group_id", "date_done")
    list_filter = ("date_done",)
    readonly_fields = ("date_created", "date_done", "result")
    search_fields = ("group_id",)
    show_full_result_count = False

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002  Django passes it
        obj: GroupResult | None = None,  # noqa: ARG002  Django passes it
    ) -> list[str]:
        """Return every field, or with ``ALLOW_EDITS`` only the dates and the result."""
        return shown_only(self.opts, self.readonly_fields)


def terminate(task_ids: Sequence[str]) -> None:
    """Ask all workers to end the tasks: to kill running ones and skip waiting ones.

    Raises :exc:`kombu.exceptions.OperationalError` if the broker does not answer.
    """
    with current_app.connection_for_write() as connection:
        # The broadcast would connect by itself, but retry many times before failing.
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_TIMEOUT)
        # The type stubs allow only one id; Celery's documentation also allows a list.
        control: Any = current_app.control
        control.terminate(list(task_ids), connection=connection)


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__, {"ALLOW_EDITS": lambda: results_settings.allow_edits})
