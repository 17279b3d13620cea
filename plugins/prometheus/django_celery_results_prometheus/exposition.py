"""The metrics in a scraper's format, for the plugin's view and for a site's own exporter."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from . import metrics
from .gauges import DatabaseCollector
from .options import multiprocess_directory

__all__ = ["DatabaseCollector", "make_registry", "render"]

# The import alone puts them into the registry.
assert metrics.COUNTED  # noqa: S101 - uses the import, which has the effect


def make_registry(*, database: bool = True) -> CollectorRegistry:
    """Return a registry of all metrics: the counters and, with ``database``, the gauges.

    If ``PROMETHEUS_MULTIPROC_DIR`` is set, the counters are the sums over all processes that
    share the directory; otherwise they are those of this process. Metrics of other libraries
    are included in both cases.

    Raises ``ValueError`` if the directory does not exist.
    """
    registry = CollectorRegistry()
    if multiprocess_directory():
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the client is not annotated
    else:
        registry.register(REGISTRY)
    if database:
        registry.register(DatabaseCollector())
    return registry


def render(accept: str = "") -> tuple[bytes, str]:
    """Return the text of all metrics and its content type.

    ``accept`` is the scraper's ``Accept`` header, which selects the format of Prometheus or of
    OpenMetrics.
    """
    encode, content_type = choose_encoder(accept)
    return encode(make_registry()), content_type
