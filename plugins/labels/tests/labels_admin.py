"""A site's own ``admin.py``."""

from __future__ import annotations

from django.contrib import admin

from django_celery_results.models import TaskResult
from django_celery_results_labels.admin import LabelledTaskResultAdmin

admin.site.unregister(TaskResult)
admin.site.register(TaskResult, LabelledTaskResultAdmin)
