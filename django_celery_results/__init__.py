"""Celery results in Django's ORM or cache, extended by plugins.

Importing the package imports neither Django's models nor Celery, so plugins can use
:data:`hookimpl` anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pluggy

from .former import former_names

__all__ = ["VERSION", "__version__", "hookimpl"]

__version__ = "3.0.0.dev0"


class VersionInfo(NamedTuple):
    """The parts of :data:`__version__`, under the names that 2.6 gave them."""

    major: int
    minor: int
    micro: int
    releaselevel: str
    serial: str


def _parse_version(version: str) -> VersionInfo:
    major, minor, micro, *release = version.split(".", 3)
    return VersionInfo(int(major), int(minor), int(micro), "".join(release), "")


VERSION = version_info = _parse_version(__version__)

#: Marks a function or method as the implementation of one of the hooks in
#: :mod:`django_celery_results.hookspecs`.
hookimpl = pluggy.HookimplMarker("django_celery_results")


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
