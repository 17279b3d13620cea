"""The compression of long contents."""

from django_celery_results.testing import CodingConformance


class TestDeflate(CodingConformance):
    """All that is true of every coding; a kilobyte is not worth the while."""

    plugin = "myplugins.deflate_coding"
    name = "deflate"
    declined = 1024
