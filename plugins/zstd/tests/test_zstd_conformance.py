"""The coding ``zstd`` passes the suite for codings."""

from __future__ import annotations

from django_celery_results.testing import CodingConformance


class TestZstd(CodingConformance):
    """Runs the suite with the default settings."""

    plugin = "zstd"
    name = "zstd"
    declined = 1000
