"""The contenders that are Celery's result backends: ours, 2.6.0, ``redis`` and ``db+``.

All of them do a piece of work by the calls that Celery's worker and a caller of a task make.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from celery import Celery
from celery.app.task import Context

from . import plugged, sample, servers, weighing
from .statements import Statements
from .work import SIZED

__all__ = [
    "CeleryBackend",
    "DjangoBackend",
    "PluggedBackend",
    "RedisBackend",
    "SQLAlchemyBackend",
]

#: Rows that are inserted at once where the measured expiry is to find them.
BATCH = 500
LONG_AGO = timedelta(days=2)  # Celery keeps results for one day.


def _total(numbers: list[Any]) -> None:
    """The body of a chord: sent, never run."""


class CeleryBackend:
    """Celery's own calls on one result backend."""

    #: What it can do besides storing and reading.
    works: frozenset[str] = frozenset()

    def __init__(self, url: str, **conf: Any) -> None:
        # What the body of a chord is sent through: nothing but memory.
        self.app = Celery("benchmark", broker="memory://", backend=url)
        self.app.conf.update(result_extended=True, result_cache_max=-1, **conf)
        self.app.task(name="benchmarks.tasks.total")(_total)
        self.backend: Any = self.app.backend
        self.request = self._request()

    def _request(self, **more: Any) -> Any:
        return Context(
            {
                "task": sample.NAME,
                "hostname": sample.WORKER,
                "argsrepr": sample.ARGS,
                "kwargsrepr": sample.KWARGS,
                "delivery_info": {},
                **more,
            }
        )

    def start(self, task_ids: list[str]) -> None:
        """Write rows that say STARTED."""
        for task_id in task_ids:
            self.backend.store_result(task_id, {"pid": 1}, "STARTED", request=self.request)

    def store(self, task_id: str, result: object = sample.RESULT) -> None:
        """Write one SUCCESS."""
        self.backend.store_result(task_id, result, "SUCCESS", request=self.request)

    def read(self, task_id: str) -> object:
        """Read one result."""
        return self.backend.get_task_meta(task_id, cache=False)["result"]

    def read_group(self, task_ids: list[str]) -> object:
        """Read the results of a finished group."""
        results: list[Any] = [self.app.AsyncResult(task_id) for task_id in task_ids]
        return self.app.GroupResult(str(uuid4()), results).get()

    def open_chord(self, task_ids: list[str]) -> list[Any]:
        """Apply a chord with these tasks as its header; return a request for each."""
        group_id = str(uuid4())
        body = self.app.signature("benchmarks.tasks.total")
        body.freeze()
        body["chord_size"] = len(task_ids)
        header = [self.app.AsyncResult(task_id) for task_id in task_ids]
        self.backend.apply_chord((group_id, header), body)
        self.backend.set_chord_size(group_id, len(task_ids))
        return [
            self._request(id=task_id, group=group_id, group_index=index, chord=body)
            for index, task_id in enumerate(task_ids)
        ]

    def return_part(self, request: Any) -> None:
        """Store a part of a chord and count it; the last one sends the body."""
        self.backend.mark_as_done(request.id, sample.RESULT, request=request)

    def fill(self, count: int) -> None:
        """Empty the tables and write ``count`` rows that have expired."""
        raise NotImplementedError

    def expire(self) -> None:
        """Delete what has expired."""
        self.backend.cleanup()

    @contextmanager
    def watched(self) -> Iterator[Statements | None]:
        """Give an account of the statements within, where it can be had."""
        yield None

    def close(self) -> None:
        """Take away what was stored."""


class DjangoBackend(CeleryBackend):
    """``django-db`` of whichever release is installed."""

    works = frozenset({"chord_part", "expire"})

    def __init__(self, **conf: Any) -> None:
        super().__init__("django-db", **conf)

    def fill(self, count: int) -> None:
        """Empty the tables and write ``count`` rows that have expired."""
        from django.utils import timezone as django_timezone

        fill_table(count, django_timezone.now() - LONG_AGO)

    @contextmanager
    def watched(self) -> Iterator[Statements | None]:
        """Give an account of the statements that Django executes."""
        from django.db import connection

        statements = Statements()
        with connection.execute_wrapper(statements):
            yield statements


class PluggedBackend(DjangoBackend):
    """``django-db`` with first-party plugins: ``site.py`` has them active."""

    def __init__(self, kind: str, engine: str) -> None:
        super().__init__(**plugged.celery_settings(kind))
        limit = servers.largest_statement(engine)
        # A quote takes two bytes in MariaDB's statement.
        able = {name for name, size in sample.SIZES.items() if 2 * size < limit}
        self.works = frozenset(work for name in able for work in SIZED[name])

    def _request(self, **more: Any) -> Any:
        return super()._request(headers=sample.HEADERS, **more)


def fill_table(count: int, date_done: datetime) -> None:
    """Empty the tables and write ``count`` rows from that date on, through Django's models.

    They are a millisecond apart or so, as rows of tasks are that ended one after another.
    """
    from django_celery_results.models import TaskResult

    weighing.empty_tables()
    # The date is "now" of whoever writes the row, in every release.
    moments = (date_done + timedelta(milliseconds=one) for one in itertools.count())
    with patch("django.utils.timezone.now", new=lambda: next(moments)):
        for start in range(0, count, BATCH):
            TaskResult.objects.bulk_create(
                [TaskResult(**_row()) for _ in range(min(BATCH, count - start))]
            )
    weighing.analyze()


def _row() -> dict[str, Any]:
    return {
        "task_id": str(uuid4()),
        "status": "SUCCESS",
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "result": _payload(),
        "task_name": sample.NAME,
        "worker": sample.WORKER,
    }


def _payload() -> str:
    return (uuid4().hex * (sample.PAYLOAD // 32 + 1))[: sample.PAYLOAD]


class SQLAlchemyBackend(CeleryBackend):
    """Celery's own ``db+``."""

    # Its chords are polled by a task, so that a part is nothing but a store.
    works = frozenset({"expire"})

    def __init__(self, database: dict[str, Any]) -> None:
        super().__init__(servers.sqlalchemy_url(database))
        # As in the process of a worker; elsewhere it connects anew for every call.
        self.backend.session_manager.forked = True

    def fill(self, count: int) -> None:
        """Empty the table and write ``count`` rows that have expired."""
        session = self.backend.ResultSession()
        task = self.backend.task_cls
        session.query(task).delete()
        session.commit()
        for start in range(0, count, BATCH):
            session.execute(
                task.__table__.insert(),
                [self._row() for _ in range(min(BATCH, count - start))],
            )
        session.commit()
        session.close()

    def _row(self) -> dict[str, Any]:
        return {
            "task_id": str(uuid4()),
            "status": "SUCCESS",
            "result": _payload().encode(),
            "date_done": datetime.now(timezone.utc) - LONG_AGO,
            "name": sample.NAME,
            "worker": sample.WORKER,
        }


class RedisBackend(CeleryBackend):
    """Celery's own ``redis``, whose results expire by themselves."""

    works = frozenset({"chord_part"})

    def __init__(self, prefix: str) -> None:
        self.prefix = f"{prefix}:"
        options = {"global_keyprefix": self.prefix}
        super().__init__(servers.REDIS_URL, result_backend_transport_options=options)

    def close(self) -> None:
        """Delete every key that this contender wrote."""
        for key in self.backend.client.scan_iter(f"{self.prefix}*", count=1000):
            self.backend.client.delete(key)
