"""The admin page of results with their labels; a site registers it as the documentation says."""

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
    """Filters by ``tenant=3``, or by ``tenant`` for any value; there may be too many for a list."""

    title = _("label")
    parameter_name = "label"
    template = "django_celery_results_labels/filter.html"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002  Django passes them by position
        """Return one choice, for the text field."""
        return [("", "")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield the text in the field, and the page's other query parameters."""
        others = parse_qsl(changelist.get_query_string(remove=[self.parameter_name])[1:])
        yield {"name": self.parameter_name, "value": self.value() or "", "others": others}

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002  Django passes both by position
        """Return the results with the label."""
        name, is_one, value = (self.value() or "").partition("=")
        try:
            if is_one:
                return queryset.filter(labelled(**{name: value}))
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        return queryset.filter(labels__name=name) if name else queryset


class LabelledTaskResultAdmin(TaskResultAdmin):
    """The core's page of task results, with a column and a filter for labels."""

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns, with the labels last."""
        return (*super().get_list_display(request), "labels")

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Return the filters, with the label filter first."""
        return (LabelFilter, *super().get_list_filter(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[TaskResult]:
        """Return the results; one more query loads the labels of all results on the page."""
        rows: QuerySet[TaskResult] = super().get_queryset(request).prefetch_related("labels")
        return rows

    @admin.display(description=_("Labels"))
    def labels(self, task: Any) -> str:
        """Return the labels of one result, sorted by name."""
        return ", ".join(sorted(map(str, task.labels.all())))
