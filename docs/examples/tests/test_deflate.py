"""Tests of the coding ``deflate``."""

from django_celery_results.testing import CodingConformance


class TestDeflate(CodingConformance):
    """The tests of every coding; this coding does not compress a kilobyte."""

    plugin = "myplugins.deflate_coding"
    name = "deflate"
    declined = 1024
