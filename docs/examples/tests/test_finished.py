"""Tests of the observer that sends a signal."""

from django_celery_results.testing import ObserverConformance


class TestFinished(ObserverConformance):
    """The tests of every observer."""

    plugin = "myplugins.finished_signal"
