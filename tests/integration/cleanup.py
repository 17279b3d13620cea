"""Remove what a run leaves on brokers, in caches and in tables."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from django.core.cache import caches

from django_celery_results.models import ChordCounter, ChordPart, GroupResult, TaskResult
from tests import settings

if TYPE_CHECKING:
    from celery import Celery

    from tests.integration.combinations import Combination


def empty_tables() -> None:
    """Delete every row."""
    for model in (ChordPart, ChordCounter, GroupResult, TaskResult):
        model.objects.all().delete()
    caches["database"].clear()


def empty_broker(app: Celery, combination: Combination) -> None:
    """Delete the queue, the exchanges and the keys of ``combination``."""
    if combination.broker == "rabbitmq":
        _empty_rabbitmq(app, combination)
    if "redis" in (combination.broker, combination.cache) or "redis" in combination.backend:
        empty_redis()
    shutil.rmtree(settings.RUN_DIRECTORY / "brokers" / combination.name, ignore_errors=True)


def _empty_rabbitmq(app: Celery, combination: Combination) -> None:
    name = combination.queue
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        channel.queue_delete(name)
        for exchange in (name, f"{name}.pidbox", f"reply.{name}.pidbox", f"{name}_events"):
            channel.exchange_delete(exchange)


def empty_redis() -> None:
    """Delete this run's keys: those of the broker, the cache and the backend."""
    from redis import Redis

    with Redis.from_url(settings.REDIS_URL) as client:
        # Some of the broker's keys lack its global prefix, but every key contains the run's name.
        keys: list[Any] = list(client.scan_iter(f"*{settings.RUN_NAME}*", count=1000))
        if keys:
            client.delete(*keys)
