"""The observer that sends a signal."""

from django_celery_results.testing import ObserverConformance


class TestFinished(ObserverConformance):
    """All that is true of every observer."""

    plugin = "myplugins.finished_signal"
