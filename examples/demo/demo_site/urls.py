"""The admin, and the JSON views of django-celery-results."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("django_celery_results.urls")),
]
