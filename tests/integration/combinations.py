"""The combinations of broker, result backend and pool that the integration tests run on.

The tests do not run every possible combination. A run with one RESULTS_DATABASE covers

- every broker: the one assigned to the database (file system for SQLite, Redis for PostgreSQL,
  RabbitMQ for MariaDB) with the database backend, and all three with the caches;
- every cache that two processes can share: Redis, Memcached, the database cache; the eager tests
  and the tests of threads use local memory, in one process;
- every pool: prefork with all of these, each other pool once, with the database backend.

So each broker runs with the database backend in one of the three runs, and with a cache backend in
all of them. ``celery_redis`` is Celery's own backend and the reference for all scenarios:
RESULTS_REFERENCE=1 runs them on it too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any, Literal

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from tests import settings

Broker = Literal["filesystem", "redis", "rabbitmq"]

#: One broker for each database, so that the three runs together cover all three.
DATABASE_BROKERS: dict[str, Broker] = {
    "sqlite": "filesystem",
    "postgresql": "redis",
    "mariadb": "rabbitmq",
}
SERIALIZERS = ("json", "pickle", "yaml", "msgpack")
#: Seconds after which the caches drop results that a test left behind.
RESULT_EXPIRES = 600
#: Seconds between two polls of the file-system broker's directory.
POLLING_INTERVAL = 0.02

TRANSPORT_ALIASES["atomic-filesystem"] = "tests.integration.transport:Transport"


@dataclass(frozen=True, kw_only=True)
class Combination:
    """The configuration that a worker shares with the tests that use it."""

    name: str
    broker: Broker
    backend: str = "django-db"
    cache: str | None = None
    pool: str = "prefork"
    concurrency: int = 2
    #: Whether the worker keeps its connections from one task to the next. Celery closes them
    #: after each task, whatever CONN_MAX_AGE is, unless CELERY_DB_REUSE_MAX is set.
    keeps_connections: bool = False
    #: The size of Django's pool of connections to PostgreSQL.
    pool_size: int = 0
    #: Dotted paths of plugins that the worker loads and the test process does not.
    plugins: tuple[str, ...] = ()
    #: A plugin's serializer that replaces JSON.
    serializer: str = ""
    #: Modules with additional tasks.
    tasks: tuple[str, ...] = ()

    @property
    def queue(self) -> str:
        """The name of the queue and the exchange, and the prefix of other names on the broker."""
        return f"{settings.RUN_NAME}_{self.name}"

    @property
    def services(self) -> list[str]:
        """The servers that the combination needs, by their names in the ``service`` marker."""
        words = f"{self.broker} {self.backend} {self.cache}"
        return [name for name in ("redis", "rabbitmq", "memcached") if name in words]

    @property
    def is_database(self) -> bool:
        """Whether results are stored as rows."""
        return self.backend.startswith("django-db")

    @property
    def keeps_objects(self) -> bool:
        """Whether results are stored as Python objects rather than as text."""
        return self.backend.startswith("django-cache")

    @property
    def ours(self) -> bool:
        """Whether the backend is this package's."""
        return self.is_database or self.keeps_objects


DATABASE = Combination(name="db", broker=DATABASE_BROKERS[settings.DATABASE])
CACHES = (
    Combination(name="cache_redis", broker="redis", backend="django-cache", cache="redis"),
    Combination(name="cache_memcached", broker="rabbitmq", backend="django-cache://memcached"),
    Combination(name="cache_database", broker="filesystem", backend="django-cache://database"),
)
REFERENCE = Combination(name="celery_redis", broker="redis", backend=settings.REDIS_URL)
POOLS = (
    Combination(name="solo", broker="filesystem", pool="solo", concurrency=1),
    Combination(name="threads", broker="filesystem", pool="threads"),
    Combination(name="gevent", broker="filesystem", pool="gevent", concurrency=10),
)
#: Separate workers for the tests that kill processes. If Celery hands a task to a dead process
#: before it notices the death, the task runs late, which must not happen to another test.
MORTALS = tuple(replace(one, name=f"mortal_{one.name}") for one in (DATABASE, *CACHES[:2]))
#: Only RabbitMQ notices at once that a whole worker is gone.
KILLED = Combination(name="killed", broker="rabbitmq")
#: The same two kinds of crash, at a step of a chord that the test chooses.
CRASHING = replace(DATABASE, name="crashing", plugins=("tests.integration.crashes",))
AT_ONCE = replace(CRASHING, name="at_once", plugins=("tests.integration.crashes_at_once",))
CRASHED = replace(CRASHING, name="crashed", broker="rabbitmq")
#: The catalogue of canvases runs on all of these at once; the first is the reference.
COMPARED = (
    replace(REFERENCE, name="canvas_reference"),
    Combination(name="canvas_db", broker="redis"),
    Combination(name="canvas_cache", broker="redis", backend="django-cache", cache="redis"),
)

#: Workers on a database server that a test starts, where their connections are killed. In each pool
#: a worker keeps its connections for as long as it can, so that more of them are lost.
SHAKEN = (
    replace(DATABASE, name="shaken"),
    replace(DATABASE, name="shaken_lasting", keeps_connections=True),
    replace(DATABASE, name="shaken_threads", pool="threads", keeps_connections=True),
    replace(DATABASE, name="shaken_gevent", pool="gevent", concurrency=10, keeps_connections=True),
)

#: Workers whose connections the tests count.
COUNTED = (
    replace(DATABASE, name="counted"),
    replace(DATABASE, name="counted_threads", pool="threads", concurrency=4),
    replace(DATABASE, name="counted_gevent", pool="gevent", concurrency=10),
    replace(DATABASE, name="counted_solo", pool="solo", concurrency=1),
)
LASTING = replace(DATABASE, name="lasting", keeps_connections=True)
#: For PostgreSQL only: Django's connection pool, with threads, and PgBouncer's.
POOLED = replace(DATABASE, name="pooled", pool="threads", concurrency=8, pool_size=3)
BOUNCED = (
    replace(DATABASE, name="bounced", concurrency=4, keeps_connections=True),
    replace(
        DATABASE, name="bounced_threads", pool="threads", concurrency=8, keeps_connections=True
    ),
)

#: All first-party plugins at once: see plugins/together.
_TOGETHER = replace(DATABASE, name="together", serializer="msgspec-json", tasks=("together_tasks",))
TOGETHER = (
    _TOGETHER,
    replace(_TOGETHER, name="together_threads", pool="threads"),
    replace(
        _TOGETHER, name="together_cache", broker="redis", backend="django-cache", cache="redis"
    ),
)

MATRIX: tuple[Combination, ...] = (DATABASE, *CACHES)
if os.environ.get("RESULTS_REFERENCE") == "1":
    MATRIX = (*MATRIX, REFERENCE)
CONNECTED = (*SHAKEN, *COUNTED, LASTING, POOLED, *BOUNCED)
DYING = (*MORTALS, KILLED, CRASHING, AT_ONCE, CRASHED)
ALL = (DATABASE, *CACHES, REFERENCE, *POOLS, *DYING, *COMPARED, *CONNECTED, *TOGETHER)
BY_NAME = {one.name: one for one in ALL}


def broker_settings(combination: Combination) -> dict[str, Any]:
    """Return Celery's settings for the broker, with names that no other run uses."""
    if combination.broker == "redis":
        options: dict[str, Any] = {"global_keyprefix": f"{combination.queue}:"}
        return {"broker_url": settings.REDIS_URL, "broker_transport_options": options}
    if combination.broker == "rabbitmq":
        return {"broker_url": settings.RABBITMQ_URL}
    directory = settings.RUN_DIRECTORY / "brokers" / combination.name
    for name in ("messages", "control"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    options = {
        "data_folder_in": str(directory / "messages"),
        "data_folder_out": str(directory / "messages"),
        "control_folder": str(directory / "control"),
        "polling_interval": POLLING_INTERVAL,
    }
    return {"broker_url": "atomic-filesystem://localhost", "broker_transport_options": options}


def make_app(combination: Combination, **options: Any) -> Celery:
    """Return a Celery app for ``combination``, configured alike for the worker and the tests."""
    # The test process does not use Celery's Django fixup, which changes sys.path.
    app = Celery(combination.queue, set_as_current=False, **options)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        imports=["tests.integration.tasks", *combination.tasks],
        result_accept_content=SERIALIZERS,
        result_backend=combination.backend,
        result_expires=RESULT_EXPIRES,
        result_extended=True,
        result_chord_join_timeout=10,
        task_default_queue=combination.queue,
        control_exchange=combination.queue,
        event_exchange=f"{combination.queue}_events",
        # No limit: close to a limit, Kombu sometimes fails to ask Redis for the next message.
        worker_prefetch_multiplier=0,
        beat_schedule=BEAT_SCHEDULE,
        **broker_settings(combination),
    )
    if combination.keeps_connections:
        app.conf.CELERY_DB_REUSE_MAX = 1_000_000
    if combination.serializer:
        app.conf.result_serializer = combination.serializer
        app.conf.result_accept_content = (*SERIALIZERS, combination.serializer)
    if combination.cache:
        app.conf.cache_backend = combination.cache
    if not combination.ours:
        prefix = {"global_keyprefix": combination.queue}
        app.conf.result_backend_transport_options = prefix
    return app


#: The tasks that beat sends twice a second while it runs. django-celery-beat's scheduler sends this
#: header; Celery's own scheduler sends no name.
BEAT_SCHEDULE = {
    "celery.backend_cleanup": {"task": "celery.backend_cleanup", "schedule": 0.5},
    "two and two": {
        "task": "tests.integration.tasks.add",
        "schedule": 0.5,
        "args": (2, 2),
        "options": {"headers": {"periodic_task_name": "two and two"}},
    },
}
