"""The metrics that the processes count, in prometheus-client's own registry.

Each has a label. One without would open its file as soon as this module is imported, and a
directory that is not there would keep the plugin from loading.
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

#: Seconds: from a local database's millisecond to a write that waits for a lock.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

stored = Counter(
    "celery_results_stored",
    "States and results of tasks that were stored",
    ["task", "state"],
)
stored_bytes = Counter(
    "celery_results_stored_bytes",
    "Bytes of the contents that were stored, as they are after all codings",
    ["task"],
)
read = Counter(
    "celery_results_read",
    "Results that were read, each look of a waiting process among them",
    ["task", "state"],
)
read_bytes = Counter(
    "celery_results_read_bytes",
    "Bytes of the contents that were read, as they are before they are decoded",
    ["task"],
)
deleted = Counter(
    "celery_results_deleted",
    "Results that were deleted",
    ["reason"],
)
storage_seconds = Histogram(
    "celery_results_storage_seconds",
    "Seconds that a call of the storage took, with an answer or an error",
    ["hook"],
    buckets=BUCKETS,
)
storage_errors = Counter(
    "celery_results_storage_errors",
    "Calls of the storage that raised",
    ["hook"],
)
storage_retries = Counter(
    "celery_results_storage_retries",
    "Calls of the storage that were made again after an error",
    ["storage", "hook"],
)
observer_failures = Counter(
    "celery_results_observer_failures",
    "Errors of plugins that only look on; each is in the log",
    ["plugin", "hook"],
)

#: All of them.
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
