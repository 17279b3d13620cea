"""Calling one function in several workers at once, on the site that they are given."""

from __future__ import annotations

import pickle
from contextlib import closing
from importlib import import_module
from typing import Any

from django.db import connections

from django_celery_results.testing.at_once import Site, Threads


def name_of(backend: Any, number: int) -> tuple[str, int]:
    """Return the storage's name and the worker's number."""
    return backend.hooks.storage, number


def test_site_can_be_told_to_a_process() -> None:
    """A module cannot be pickled, so the site holds its name."""
    module = import_module("results_sqlite")

    site = Site.here(module, {"CODINGS": []}, "django-cache")

    assert ("results_sqlite", site) == (site.plugin, pickle.loads(pickle.dumps(site)))


def test_site_is_opened_as_it_was_here() -> None:
    """The plugin is registered, and the databases are those of the test."""
    names = {one.alias: one.settings_dict["NAME"] for one in connections.all()}
    site = Site.here("myplugins.notebook", {}, "django-cache")

    with site.opened() as backend:
        storages = backend.hooks.plugins.storages()

    assert ["django-cache", "django-db", "notebook"] == storages
    assert names == {one.alias: one.settings_dict["NAME"] for one in connections.all()}


def test_each_thread_has_its_number() -> None:
    """It also has its own backend."""
    with closing(Threads(Site.here("codec", {}, "django-cache"), 3)) as workers:
        answers = workers.call(name_of)

    assert [("django-cache", number) for number in range(3)] == answers
