"""`manage.py admin`: the results in Django's admin."""

from __future__ import annotations

import errno
import io
import socket
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, CommandParser, call_command

from django_celery_results.models import TaskResult

NAME = PASSWORD = "demo"
HOST = "127.0.0.1"
FIRST_PORT = 8000
HIGHEST_PORT = 65535


class Command(BaseCommand):
    """Creates the user if there is none, and serves the site."""

    help = "Serve the site with the user demo, password demo."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the port."""
        parser.add_argument(
            "--port", help="the port to listen on; by default 8000, or the next one that is free"
        )

    def handle(self, *_args: Any, port: str | None = None, **_options: Any) -> None:
        """Serve until interrupted."""
        number = free_port() if port is None else chosen_port(port)
        if port is None and number != FIRST_PORT:
            self.stdout.write(f"Port {FIRST_PORT} is taken, so this uses port {number}.")
        self.serve(number)

    def serve(self, port: int) -> None:
        """Serve on ``port``, and say where that is."""
        call_command("migrate", verbosity=0)
        users = get_user_model().objects
        if not users.filter(username=NAME).exists():
            users.create_superuser(username=NAME, password=PASSWORD)
        self.stdout.write(f"Open       http://{HOST}:{port}/")
        self.stdout.write(f"Log in as  {NAME}, password {PASSWORD}")
        self.stdout.write("Stop with  Ctrl-C")
        if not TaskResult.objects.exists():
            self.stdout.write("\nThere are no results yet. To make some, run: make demo")
        self.stdout.flush()
        # The lines above say what runserver would.
        silence = io.StringIO()
        call_command("runserver", f"{HOST}:{port}", use_reloader=False, stdout=silence)


def free_port() -> int:
    """Return port 8000, or the next free one."""
    for port in range(FIRST_PORT, HIGHEST_PORT + 1):
        if why_unusable(port) is None:
            return port
    raise CommandError(f"No port from {FIRST_PORT} up is free. End a program that uses one.")


def chosen_port(text: str) -> int:
    """Return the port that ``text`` names.

    Raises :class:`CommandError`, with what to do, if the site cannot listen on it.
    """
    if not text.isdecimal() or not 0 < int(text) <= HIGHEST_PORT:
        raise CommandError(
            f"{text!r} is not a port. Give a number from 1 to {HIGHEST_PORT}, as in "
            f"`make demo-admin PORT={FIRST_PORT + 1}`."
        )
    reason = why_unusable(int(text))
    if reason is not None:
        raise CommandError(
            f"Port {text} {reason}. Give another, as in `make demo-admin PORT={FIRST_PORT + 1}`, "
            "or leave PORT out to use a free one."
        )
    return int(text)


def why_unusable(port: int) -> str | None:
    """Return why the site cannot listen on ``port``, or None if it can."""
    with socket.socket() as trial:
        # As runserver does: a port whose last connections are still closing is free.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is taken by another program"
            return f"cannot be used: {error.strerror}"
    return None
