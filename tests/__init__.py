"""Tests of django-celery-results; they run against the installed package."""
