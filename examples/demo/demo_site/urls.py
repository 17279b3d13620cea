"""URLs of the admin, where `/` leads too, and of the JSON views of django-celery-results."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("django_celery_results.urls")),
]
