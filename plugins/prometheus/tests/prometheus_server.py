"""Serves the metrics of a machine with workers but no site."""

from __future__ import annotations

from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import start_http_server

from django_celery_results_prometheus.exposition import make_registry


def serve(port: int) -> tuple[WSGIServer, Thread]:
    """Start serving in a thread; the gauges are left to the site, which queries the database."""
    return start_http_server(port, "127.0.0.1", registry=make_registry(database=False))
