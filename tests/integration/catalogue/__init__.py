"""Canvases of every kind, and those that end differently here than on Celery's Redis backend.

The catalogue holds no expected values. The tests run every canvas on Celery's own Redis backend
and on the backends of this package, and require the same outcome.
"""
