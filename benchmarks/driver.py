"""Sends tasks to the workers and sees when all are done: a process with redis-py and Celery.

For each line of standard input, ``{"name": "results_bench_ours_1", "count": 2000}``, it prints
one line, ``{"seconds": 1.3}``. It does not use the worker's result backend.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from celery import Celery
from redis import Redis

from . import servers

#: Seconds between two looks at the queue, and the limit for one round.
PAUSE, LIMIT = 0.002, 120.0
WAITING = "waiting"


class Driver:
    """Sends tasks to the worker whose keys in Redis begin with ``name``."""

    def __init__(self, name: str) -> None:
        self.prefix = f"{name}:"
        self.redis: Any = Redis.from_url(servers.REDIS_URL)
        self.app = Celery("driver", broker=servers.REDIS_URL)
        self.app.conf.broker_transport_options = {"global_keyprefix": self.prefix}

    def run(self, count: int) -> float:
        """Let the worker run ``count`` tasks; return the seconds from the first to the last."""
        # The messages wait in another queue, so that sending takes none of the worker's time.
        for number in range(count):
            self.app.send_task("benchmarks.worker_app.add", (number, 1), queue=WAITING)
        started = time.perf_counter()
        self.redis.rename(f"{self.prefix}{WAITING}", f"{self.prefix}celery")
        return self._end() - started

    def _end(self) -> float:
        """Return the time at which the last message was acknowledged."""
        limit = time.perf_counter() + LIMIT
        while True:
            ended = time.perf_counter()
            if self._is_empty():
                return ended
            if ended > limit:
                raise SystemExit(f"the worker {self.prefix} did not finish in {LIMIT:g} seconds")
            time.sleep(PAUSE)

    def _is_empty(self) -> bool:
        """Return whether no message is left, after looking three times.

        For a moment, a message is neither in the queue nor among the unacknowledged ones.
        """
        for _ in range(3):
            if self._left():
                return False
            time.sleep(PAUSE)
        return True

    def _left(self) -> int:
        queue: int = self.redis.llen(f"{self.prefix}celery")
        return queue + int(self.redis.hlen(f"{self.prefix}unacked"))

    def clean(self) -> None:
        """Delete every key that the worker and this process wrote."""
        for key in self.redis.scan_iter(f"{self.prefix}*", count=1000):
            self.redis.delete(key)


def main() -> None:
    """Answer requests until standard input ends."""
    drivers: dict[str, Driver] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request["name"]
        if name not in drivers:
            drivers[name] = Driver(name)
        print(json.dumps({"seconds": drivers[name].run(request["count"])}), flush=True)
    for driver in drivers.values():
        driver.clean()


if __name__ == "__main__":
    main()
