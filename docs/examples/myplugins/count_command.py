"""A command: ``manage.py celery_results count`` prints the number of results in a state."""

from django_celery_results import hookimpl
from django_celery_results.records import Command


def add_arguments(parser):
    """Declare the command's arguments."""
    parser.add_argument("--state", default="SUCCESS", help="the state to count")


def run(command, options):
    """Print the number. Models are imported here, because a plugin loads before they are ready."""
    from django_celery_results.models import TaskResult

    number = TaskResult.objects.filter(status=options["state"]).count()
    command.stdout.write(f"{number} in state {options['state']}")


@hookimpl
def contribute_commands():
    """Contribute the command ``count``."""
    yield Command(name="count", help="count results", run=run, add_arguments=add_arguments)
