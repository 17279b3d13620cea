"""`manage.py admin`: the results in Django's admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, call_command

NAME = PASSWORD = "demo"


class Command(BaseCommand):
    """Make the user if there is none, and serve the site."""

    help = "Serve the site on http://127.0.0.1:8000/admin/ with the user demo, password demo."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Serve until interrupted."""
        call_command("migrate", verbosity=0)
        users = get_user_model().objects
        if not users.filter(username=NAME).exists():
            users.create_superuser(username=NAME, password=PASSWORD)
        self.stdout.write("Log in as demo, password demo: http://127.0.0.1:8000/admin/")
        call_command("runserver", "127.0.0.1:8000", use_reloader=False)
