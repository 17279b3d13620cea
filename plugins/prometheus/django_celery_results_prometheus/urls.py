"""The URL of the metrics; a site includes this module where it wants them."""

from __future__ import annotations

from django.urls import path

from .views import metrics

urlpatterns = [path("", metrics, name="celery-results-metrics")]
