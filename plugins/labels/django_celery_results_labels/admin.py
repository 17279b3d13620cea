"""The page of results with their labels. A site registers it: see the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.utils.translation import gettext_lazy as _

from django_celery_results.admin import TaskResultAdmin

from .querying import labelled

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList
    from django.db.models import QuerySet
    from django.http import HttpRequest

    from django_celery_results.models import TaskResult

__all__ = ["LabelFilter", "LabelledTaskResultAdmin"]


class LabelFilter(admin.SimpleListFilter):
    """Takes ``tenant=3``, or ``tenant`` for any: there may be too many labels for a list."""

    title = _("label")
    parameter_name = "label"
    template = "django_celery_results_labels/filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  Django passes them
        """Return the one field."""
        return [("", "")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield what the field shows, and what else the page was asked for."""
        others = parse_qsl(changelist.get_query_string(remove=[self.parameter_name])[1:])
        yield {"name": self.parameter_name, "value": self.value() or "", "others": others}

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002  Django passes both
        """Return the results that have the label."""
        name, is_one, value = (self.value() or "").partition("=")
        try:
            if is_one:
                return queryset.filter(labelled(**{name: value}))
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        return queryset.filter(labels__name=name) if name else queryset


class LabelledTaskResultAdmin(TaskResultAdmin):
    """The core's page of task results, with a column and a filter of labels."""

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns, the labels last."""
        return (*super().get_list_display(request), "labels")

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters, that of labels first."""
        return (LabelFilter, *super().get_list_filter(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskResult]:
        """Return the results; the labels of a page take one query."""
        rows: QuerySet[TaskResult] = super().get_queryset(request).prefetch_related("labels")
        return rows

    @admin.display(description=_("Labels"))
    def labels(self, task: Any) -> str:
        """Return the labels of one result, by name."""
        return ", ".join(sorted(map(str, task.labels.all())))
