"""The tables for results, groups and unfinished chords."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from celery import states
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from . import former_names
from .conf import results_settings
from .managers import GroupResultManager, TaskResultManager

if TYPE_CHECKING:
    from celery import Celery
    from celery.result import GroupResult as CeleryGroupResult
    from typing_extensions import Self

__all__ = ["ChordCounter", "ChordPart", "GroupResult", "TaskResult"]

#: Celery's own states in alphabetical order, and the same as choices of a form, as in 2.6. A
#: site may store other states too.
ALL_STATES = sorted(states.ALL_STATES)
TASK_STATE_CHOICES = [(state, state) for state in ALL_STATES]


class TaskResult(models.Model):
    """The record of one task: its state, its result and, if the site stores it, its call."""

    id = models.BigAutoField(primary_key=True, verbose_name="ID")
    task_id = models.CharField(
        max_length=results_settings.task_id_max_length,
        unique=True,
        verbose_name=_("Task ID"),
        help_text=_("The id that Celery gave to this task"),
    )
    periodic_task_name = models.CharField(
        max_length=255,
        null=True,
        verbose_name=_("Periodic Task Name"),
        help_text=_("The periodic task that sent this task, if one did"),
    )
    task_name = models.CharField(
        max_length=results_settings.task_id_max_length,
        null=True,
        verbose_name=_("Task Name"),
        help_text=_("The name under which the task is registered"),
    )
    task_args = models.TextField(
        null=True,
        verbose_name=_("Task Positional Arguments"),
        help_text=_("The positional arguments of the call, serialized"),
    )
    task_kwargs = models.TextField(
        null=True,
        verbose_name=_("Task Named Arguments"),
        help_text=_("The named arguments of the call, serialized"),
    )
    status = models.CharField(
        max_length=50,
        default=states.PENDING,
        verbose_name=_("Task State"),
        help_text=_("The last state that was reported for the task"),
    )
    worker = models.CharField(
        max_length=100,
        default=None,
        null=True,
        verbose_name=_("Worker"),
        help_text=_("The worker that ran the task"),
    )
    content_type = models.CharField(
        max_length=128,
        verbose_name=_("Result Content Type"),
        help_text=_("The MIME type of the serialized result"),
    )
    content_encoding = models.CharField(
        max_length=64,
        verbose_name=_("Result Encoding"),
        help_text=_("How the serialized result was made into text"),
    )
    result = models.TextField(
        null=True,
        default=None,
        editable=False,
        verbose_name=_("Result Data"),
        help_text=_(
            "What the task returned or raised, serialized; "
            "the content type and the encoding tell how to read it"
        ),
    )
    date_created = models.DateTimeField(
        auto_now_add=True,
        verbose_name=_("Created DateTime"),
        help_text=_("When this record was first written"),
    )
    date_started = models.DateTimeField(
        null=True,
        default=None,
        verbose_name=_("Started DateTime"),
        help_text=_("When a worker started the task, if that is tracked"),
    )
    date_done = models.DateTimeField(
        auto_now=True,
        verbose_name=_("Completed DateTime"),
        help_text=_("When the task ended"),
    )
    date_expires = models.DateTimeField(
        null=True,
        default=None,
        editable=False,
        verbose_name=_("Expires DateTime"),
        help_text=_("When this record may be deleted; empty: as the site's settings say"),
    )
    traceback = models.TextField(
        blank=True,
        null=True,
        verbose_name=_("Traceback"),
        help_text=_("The traceback of the exception, if the task raised one"),
    )
    meta = models.TextField(
        null=True,
        default=None,
        editable=False,
        verbose_name=_("Task Meta Information"),
        help_text=_("What else the task recorded, such as its child tasks, serialized"),
    )

    objects: ClassVar[TaskResultManager[Self]] = TaskResultManager()

    class Meta:
        ordering: ClassVar = ["-date_done"]
        verbose_name = _("task result")
        verbose_name_plural = _("task results")
        indexes: ClassVar = [
            models.Index(fields=["task_name"], name="django_cele_task_na_08aec9_idx"),
            models.Index(fields=["status"], name="django_cele_status_9b6201_idx"),
            models.Index(fields=["worker"], name="django_cele_worker_d54dd8_idx"),
            models.Index(fields=["date_done"], name="django_cele_date_do_f59aad_idx"),
            models.Index(fields=["periodic_task_name"], name="django_cele_periodi_1993cf_idx"),
            models.Index(
                fields=["date_expires", "date_done"], name="django_cele_date_ex_0c7140_idx"
            ),
        ]

    def __str__(self) -> str:
        """Return a readable form: the id and the state."""
        return f"<Task: {self.task_id} ({self.status})>"

    def as_dict(self) -> dict[str, Any]:
        """Return the columns that make up Celery's result meta, still serialized."""
        return {
            "task_id": self.task_id,
            "task_name": self.task_name,
            "task_args": self.task_args,
            "task_kwargs": self.task_kwargs,
            "status": self.status,
            "result": self.result,
            "date_done": self.date_done,
            "traceback": self.traceback,
            "meta": self.meta,
            "worker": self.worker,
        }


class GroupResult(models.Model):
    """The tasks of a saved group, so that the group can be restored by its id."""

    id = models.BigAutoField(primary_key=True, verbose_name="ID")
    group_id = models.CharField(
        max_length=results_settings.task_id_max_length,
        unique=True,
        verbose_name=_("Group ID"),
        help_text=_("The id that Celery gave to this group"),
    )
    date_created = models.DateTimeField(
        auto_now_add=True,
        verbose_name=_("Created DateTime"),
        help_text=_("When this record was first written"),
    )
    date_done = models.DateTimeField(
        auto_now=True,
        verbose_name=_("Completed DateTime"),
        help_text=_("When the group was last saved"),
    )
    content_type = models.CharField(
        max_length=128,
        verbose_name=_("Result Content Type"),
        help_text=_("The MIME type of the serialized result"),
    )
    content_encoding = models.CharField(
        max_length=64,
        verbose_name=_("Result Encoding"),
        help_text=_("How the serialized result was made into text"),
    )
    result = models.TextField(
        null=True,
        default=None,
        editable=False,
        verbose_name=_("Result Data"),
        help_text=_(
            "The tasks of the group, serialized; "
            "the content type and the encoding tell how to read them"
        ),
    )

    objects: ClassVar[GroupResultManager[Self]] = GroupResultManager()

    class Meta:
        ordering: ClassVar = ["-date_done"]
        verbose_name = _("group result")
        verbose_name_plural = _("group results")
        indexes: ClassVar = [
            models.Index(fields=["date_done"], name="django_cele_date_do_caae0e_idx"),
        ]

    def __str__(self) -> str:
        """Return a readable form: the id."""
        return f"<Group: {self.group_id}>"

    def as_dict(self) -> dict[str, Any]:
        """Return the id, the tasks (still serialized) and the time of the last save."""
        return {"group_id": self.group_id, "result": self.result, "date_done": self.date_done}


class ChordCounter(models.Model):
    """A chord whose body has not been sent yet.

    The row is deleted only after the body has been handed to the broker, so the body of
    every chord in this table has yet to be sent.
    """

    id = models.BigAutoField(primary_key=True, verbose_name="ID")
    group_id = models.CharField(
        max_length=results_settings.task_id_max_length,
        unique=True,
        verbose_name=_("Group ID"),
        help_text=_("The id that Celery gave to the chord's header"),
    )
    sub_tasks = models.TextField(
        verbose_name=_("Header Tasks"),
        help_text=_("The tasks of the header as a JSON list; group_result() reads it"),
    )
    count = models.PositiveIntegerField(
        verbose_name=_("Remaining Tasks"),
        help_text=_("How many tasks of the header have still to end"),
    )
    size = models.PositiveIntegerField(
        null=True,
        verbose_name=_("Header Size"),
        help_text=_("How many tasks the header has; empty: begun by release 2.6 or older"),
    )
    date_created = models.DateTimeField(
        auto_now_add=True,
        # The database sets it too, because workers of 2.6 insert counters without this
        # column, and a counter without a date would never expire.
        db_default=Now(),
        null=True,
        verbose_name=_("Created DateTime"),
        help_text=_("When this record was first written"),
    )
    date_claimed = models.DateTimeField(
        null=True,
        verbose_name=_("Claimed DateTime"),
        help_text=_("When a worker last undertook to send the chord's body"),
    )
    claimed_by = models.CharField(
        max_length=64,
        null=True,
        verbose_name=_("Claimed By"),
        help_text=_("A token of the call that last undertook to send the chord's body"),
    )
    body = models.TextField(
        null=True,
        verbose_name=_("Chord Body"),
        help_text=_("The body's signature, serialized; empty: not known"),
    )
    content_type = models.CharField(
        max_length=128,
        null=True,
        verbose_name=_("Body Content Type"),
        help_text=_("The MIME type of the serialized body"),
    )
    content_encoding = models.CharField(
        max_length=64,
        null=True,
        verbose_name=_("Body Encoding"),
        help_text=_("How the serialized body was made into text"),
    )

    class Meta:
        verbose_name = _("chord counter")
        verbose_name_plural = _("chord counters")

    def __str__(self) -> str:
        """Return a readable form: the id and the number of remaining tasks."""
        return f"<Chord: {self.group_id} ({self.count})>"

    def group_result(self, app: Celery | None = None) -> CeleryGroupResult:
        """Return the header as Celery's ``GroupResult``, bound to ``app`` or to the current app.

        Raises ``ValueError`` if the stored list is not JSON.
        """
        from celery.result import GroupResult as CeleryGroupResult
        from celery.result import result_from_tuple

        tasks = [result_from_tuple(task, app=app) for task in json.loads(self.sub_tasks)]
        return CeleryGroupResult(self.group_id, tasks, app=app)


class ChordPart(models.Model):
    """One finished task of a chord's header. Its row keeps it from being counted twice."""

    id = models.BigAutoField(primary_key=True, verbose_name="ID")
    counter = models.ForeignKey(
        ChordCounter,
        on_delete=models.CASCADE,
        related_name="parts",
        # Workers of 2.6 that still run during an upgrade delete counters without deleting
        # their parts; a foreign key constraint would make that fail.
        db_constraint=False,
        # The unique constraint below begins with this column and serves as its index.
        db_index=False,
        verbose_name=_("Chord Counter"),
        help_text=_("The chord that the task belongs to"),
    )
    task_id = models.CharField(
        max_length=results_settings.task_id_max_length,
        verbose_name=_("Task ID"),
        help_text=_("The id that Celery gave to this task"),
    )
    group_index = models.BigIntegerField(
        null=True,
        verbose_name=_("Position"),
        help_text=_("The place of the task in the header, from zero"),
    )
    status = models.CharField(
        max_length=50,
        verbose_name=_("Task State"),
        help_text=_("The state in which the task ended"),
    )
    content_type = models.CharField(
        max_length=128,
        blank=True,
        verbose_name=_("Result Content Type"),
        help_text=_("The MIME type of the serialized result"),
    )
    content_encoding = models.CharField(
        max_length=64,
        blank=True,
        verbose_name=_("Result Encoding"),
        help_text=_("How the serialized result was made into text"),
    )
    result = models.TextField(
        null=True,
        verbose_name=_("Result Data"),
        help_text=_("The serialized result of a task that keeps no record of its own"),
    )
    date_created = models.DateTimeField(
        auto_now_add=True,
        verbose_name=_("Created DateTime"),
        help_text=_("When this record was first written"),
    )

    class Meta:
        verbose_name = _("chord part")
        verbose_name_plural = _("chord parts")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["counter", "task_id"], name="django_cele_chordpart_once"
            ),
        ]

    def __str__(self) -> str:
        """Return a readable form: the task's id and its state."""
        return f"<Chord part: {self.task_id} ({self.status})>"


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
