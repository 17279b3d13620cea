"""The coding ``zstd`` is what every coding has to be."""

from __future__ import annotations

from django_celery_results.testing import CodingConformance


class TestZstd(CodingConformance):
    """With its settings as they are by default."""

    plugin = "zstd"
    name = "zstd"
    declined = 1000
