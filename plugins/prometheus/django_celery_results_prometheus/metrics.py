"""The counters and the histogram, in prometheus-client's own registry.

Each has a label. A metric without labels opens its file as soon as this module is imported,
so a missing directory would keep the plugin from loading.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram

__all__ = [
    "COUNTED",
    "deleted",
    "observer_failures",
    "read",
    "read_bytes",
    "storage_errors",
    "storage_retries",
    "storage_seconds",
    "stored",
    "stored_bytes",
]

#: In seconds, from 1 millisecond for a local database to a write that waits for a lock.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

stored = Counter(
    "celery_results_stored",
    "Stored task states and results",
    ["task", "state"],
)
stored_bytes = Counter(
    "celery_results_stored_bytes",
    "Bytes of stored contents, after all codings",
    ["task"],
)
read = Counter(
    "celery_results_read",
    "Results read, including each poll of a waiting process",
    ["task", "state"],
)
read_bytes = Counter(
    "celery_results_read_bytes",
    "Bytes of contents read, before decoding",
    ["task"],
)
deleted = Counter(
    "celery_results_deleted",
    "Deleted results",
    ["reason"],
)
storage_seconds = Histogram(
    "celery_results_storage_seconds",
    "Seconds per call of the storage, successful or not",
    ["hook"],
    buckets=BUCKETS,
)
storage_errors = Counter(
    "celery_results_storage_errors",
    "Calls of the storage that raised an error",
    ["hook"],
)
storage_retries = Counter(
    "celery_results_storage_retries",
    "Calls of the storage that were retried after an error",
    ["storage", "hook"],
)
observer_failures = Counter(
    "celery_results_observer_failures",
    "Errors of observing plugins, each of which is in the log",
    ["plugin", "hook"],
)

#: All metrics of this module.
COUNTED = (
    stored,
    stored_bytes,
    read,
    read_bytes,
    deleted,
    storage_seconds,
    storage_errors,
    storage_retries,
    observer_failures,
)
