"""A command: ``manage.py celery_results count`` says how many results there are."""

from django_celery_results import hookimpl
from django_celery_results.records import Command


def add_arguments(parser):
    """Declare what may follow the action's name."""
    parser.add_argument("--state", default="SUCCESS", help="in which state")


def run(command, options):
    """Count, and print. Models are imported where they are used."""
    from django_celery_results.models import TaskResult

    number = TaskResult.objects.filter(status=options["state"]).count()
    command.stdout.write(f"{number} in state {options['state']}")


@hookimpl
def contribute_commands():
    """Offer ``count``."""
    yield Command(name="count", help="count results", run=run, add_arguments=add_arguments)
