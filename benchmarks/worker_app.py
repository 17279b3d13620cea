"""The Celery app of a worker that is measured end to end: one short task, one backend.

``python -m benchmarks.worker_app`` prepares its database and then runs the worker.
"""

from __future__ import annotations

import sys

import django
from celery import Celery
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from . import servers
from .site import CONTENDER

__all__ = ["app"]


def backend_of(kind: str) -> str | None:
    """Return the result backend of a kind of worker."""
    return {
        "ours": "django-db",
        "ours, connecting anew": "django-db",
        "2.6.0": "django-db",
        "django-cache": "django-cache",
        "redis": servers.REDIS_URL,
        "db+": servers.sqlalchemy_url(settings.DATABASES["default"]),
    }.get(kind)


app = Celery("worker", broker=servers.REDIS_URL, backend=backend_of(CONTENDER["kind"]))
prefix = {"global_keyprefix": f"{CONTENDER['name']}:"}
app.conf.update(
    result_extended=True,
    broker_transport_options=prefix,
    result_backend_transport_options=prefix,
    result_expires=600,
    # A message is acknowledged only after its result is stored: so the driver sees the end.
    task_acks_late=True,
    task_ignore_result=CONTENDER["kind"] == "ceiling",
    worker_hijack_root_logger=False,
)
if CONTENDER["kind"] != "ours, connecting anew":
    # Celery 5.7 closes Django's connections after each task, regardless of CONN_MAX_AGE,
    # unless a setting says how many tasks may use one.
    app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000


@app.task(name="benchmarks.worker_app.add")
def add(x: int, y: int) -> int:
    """Do almost nothing."""
    return x + y


def main() -> None:
    """Create the database, run the worker until it is terminated, drop the database."""
    database = settings.DATABASES["default"]
    servers.recreate(database)
    try:
        work()
    except SystemExit:
        connections.close_all()
    servers.drop(database)


def work() -> None:
    """Run the worker."""
    django.setup()
    if str(app.conf.result_backend) == "django-db":
        call_command("migrate", verbosity=0)
        # The pool's processes must not share the connection.
        connections.close_all()
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]
    app.worker_main(["worker", "--pool=prefork", "--concurrency=2", *options, *sys.argv[1:]])


if __name__ == "__main__":
    main()
