"""The URLs of the test site: the admin, and the package's URLs at the root."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("django_celery_results.urls")),
]
