"""The URL of the metrics: include this module where a site wants them."""

from __future__ import annotations

from django.urls import path

from .views import metrics

urlpatterns = [path("", metrics, name="celery-results-metrics")]
