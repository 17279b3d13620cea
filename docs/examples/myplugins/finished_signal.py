"""An observer: tell the rest of the site, by a Django signal, that a task has finished."""

from django.dispatch import Signal

from django_celery_results import hookimpl

#: Sent in the worker, with ``task`` (a TaskRecord), once the result is stored.
task_finished = Signal()


@hookimpl
def after_store(task, written):
    """Send the signal, unless what was stored before stands."""
    if written and task.is_ready:
        task_finished.send_robust(sender=task.name, task=task)
