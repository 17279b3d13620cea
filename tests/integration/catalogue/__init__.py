"""Canvases of every kind, and which of them end otherwise here than over Celery's Redis backend.

Nothing is said here of what a canvas gives. All are run over Celery's own Redis backend and over
those of this package, and have to end in the same way.
"""
