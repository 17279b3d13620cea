"""Celery results in Django's ORM or cache, extended by plugins.

Importing the package imports neither Django's models nor Celery, so plugins can use
:data:`hookimpl` anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import pluggy

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

#: Names that 2.6 let a site import, and that have moved or are unused here. By module and name:
#: the module that has the object, and the name there unless it is the same. An object is
#: imported on first access, so that other sites do not pay for it.
FORMER: Mapping[str, Mapping[str, str]] = {
    "": {
        "django": "django:",
        "namedtuple": "collections",
        "version_info_t": f"{__name__}:VersionInfo",
    },
    ".admin": {"settings": "django.conf"},
    ".backends.cache": {
        "caches": "django.core.cache",
        "default_cache": "django.core.cache:cache",
    },
    ".backends.database": {
        "BaseDictBackend": "celery.backends.base",
        "ChordCounter": ".models",
        "ChordError": "celery.exceptions",
        "DecodeError": "kombu.exceptions",
        "GroupResult": "celery.result",
        "GroupResultModel": ".models:GroupResult",
        "InterfaceError": "django.db.utils",
        "Now": "django.db.models.functions",
        "TaskResult": ".models",
        "allow_join_result": "celery.result",
        "b64decode": "celery.utils.serialization",
        "b64encode": "celery.utils.serialization",
        "binascii": "binascii:",
        "connection": "django.db",
        "get_current_task": "celery.backends.base",
        "get_logger": "celery.utils.log",
        "json": "json:",
        "maybe_signature": "celery",
        "result_from_tuple": "celery.result",
        "router": "django.db",
        "states": "celery:states",
        "transaction": "django.db",
    },
    ".managers": {
        "count": "itertools",
        "maybe_timedelta": "celery.utils.time",
        "settings": "django.conf",
    },
    ".models": {
        "CeleryGroupResult": "celery.result:GroupResult",
        "managers": ".managers:",
        "result_from_tuple": "celery.result",
        "settings": "django.conf",
    },
    ".urls": {"settings": "django.conf"},
    ".utils": {"settings": "django.conf"},
    ".views": {
        "AsyncResult": "celery.result",
        "GroupResult": "celery.result",
        "get_full_cls_name": "celery.utils",
    },
}


def former_names(
    module: str, computed: Mapping[str, Callable[[], Any]] | None = None
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module, which finds the names that 2.6 had there.

    ``computed`` are names whose value a function returns at each access.
    """
    moved, functions = FORMER.get(module.removeprefix(__name__), {}), computed or {}

    def find(name: str) -> Any:
        if name in functions:
            return functions[name]()
        if name not in moved:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, colon, attribute = moved[name].partition(":")
        found = import_module(place, __name__)
        return getattr(found, attribute or name) if attribute or not colon else found

    return find


if not TYPE_CHECKING:
    # Hidden from type checkers, which would take every name for an existing one.
    __getattr__ = former_names(__name__)
