"""A site's URLs, including the metrics."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("metrics/", include("django_celery_results_prometheus.urls")),
]
