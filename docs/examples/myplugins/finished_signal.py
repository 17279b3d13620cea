"""An observer: send a Django signal when a task has finished."""

from django.dispatch import Signal

from django_celery_results import hookimpl

#: Sent in the worker, with ``task`` (a TaskRecord), once the result is stored.
task_finished = Signal()


@hookimpl
def after_store(task, written):
    """Send the signal, unless the storage kept an earlier state."""
    if written and task.is_ready:
        task_finished.send_robust(sender=task.name, task=task)
