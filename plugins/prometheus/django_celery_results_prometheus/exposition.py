"""The metrics as a scraper reads them: for the view, and for an exporter of the site's own."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from . import metrics
from .gauges import DatabaseCollector
from .options import multiprocess_directory

__all__ = ["DatabaseCollector", "make_registry", "render"]

# Importing them is what puts them into the registry.
assert metrics.COUNTED  # noqa: S101 - says why the import is there


def make_registry(*, database: bool = True) -> CollectorRegistry:
    """Return a registry of all metrics: what is counted, and what the ``database`` is asked.

    Where ``PROMETHEUS_MULTIPROC_DIR`` is set, what is counted is the sum over all
    processes that share the directory; elsewhere it is what this process counts. Either
    way other libraries' metrics are in it too.

    Raises ``ValueError`` when the directory is not there.
    """
    registry = CollectorRegistry()
    if multiprocess_directory():
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no annotations
    else:
        registry.register(REGISTRY)
    if database:
        registry.register(DatabaseCollector())
    return registry


def render(accept: str = "") -> tuple[bytes, str]:
    """Return the text of all metrics, and its content type.

    ``accept`` is the scraper's header of that name, which chooses between the formats of
    Prometheus and of OpenMetrics.
    """
    encode, content_type = choose_encoder(accept)
    return encode(make_registry()), content_type
