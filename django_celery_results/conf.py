"""The core's own settings: each is declared once, as an ``Option``.

Reading a setting, its system check (:mod:`django_celery_results.checks`) and its rows in the
settings reference and the README follow from the declaration. Nothing is cached, so
``override_settings`` works everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, overload

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS

from .options import (
    OPTIONS,
    Option,
    boolean,
    declared_in,
    names,
    options_dict,
    seconds,
    seconds_above_zero,
    whole_number,
    written_at,
    wrong_values,
)

if TYPE_CHECKING:
    from django.core.checks import Error

__all__ = ["results_settings"]

T = TypeVar("T")

#: The beginning of the ids of the core's system checks.
CHECK_PREFIX = "django_celery_results"


class Setting(Option[T]):
    """One of the core's own settings; a wrong value counts as not set.

    Only the system checks report a wrong value, so that reading a setting never stops a
    store. ``default`` is written as a site would write it: ``read`` reads it, and the
    reference shows it. ``salvage`` returns the usable part of a wrong value, in place of
    the default. A ``top_level`` setting is outside the dict ``DJANGO_CELERY_RESULTS``.
    """

    def __init__(
        self,
        read: Callable[[object], T],
        *,
        default: object,
        check: str,
        doc: str,
        salvage: Callable[[object], T] | None = None,
        top_level: bool = False,
    ) -> None:
        super().__init__(read, default=read(default), check=check, doc=doc)
        self.written_default = default
        self.salvage = salvage
        self.top_level = top_level

    def __set_name__(self, owner: type[object], name: str) -> None:
        super().__set_name__(owner, name)
        if self.top_level:
            self.key = f"{OPTIONS}_{self.key}"
        self.path = (self.key,) if self.top_level else (OPTIONS, self.key)

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Setting[T]: ...

    @overload
    def __get__(self, instance: object, owner: type[Any]) -> T: ...

    def __get__(self, instance: object, owner: type[Any]) -> Setting[T] | T:
        if instance is None:
            return self
        try:
            return self.value_at(self.path)
        except ValueError:
            return self.salvage(written_at(self.path)) if self.salvage else self.default


# -- Readers of values ---------------------------------------------------------------


def plugin_sources(value: object) -> Sequence[object]:
    """Read a list or tuple of anything: loading the plugins reports wrong entries."""
    if isinstance(value, (list, tuple)):
        return value
    raise ValueError("a list of dotted paths, modules, classes or instances")


def set_of_names(value: object) -> frozenset[str]:
    """Read a list or tuple of strings, whose order does not matter."""
    return frozenset(names(value))


def names_among(value: object) -> tuple[str, ...]:
    """Return the strings of a list or tuple, without its other entries."""
    found = value if isinstance(value, (list, tuple)) else ()
    return tuple(one for one in found if isinstance(one, str))


# -- The settings --------------------------------------------------------------------


class ResultsSettings:
    """Typed access to every setting of this package, and to Django settings that it needs."""

    # Keys of DJANGO_CELERY_RESULTS.

    allow_edits: Setting[bool] = Setting(
        boolean, default=False, check="E002", doc="the admin may change results"
    )
    plugins: Setting[Sequence[object]] = Setting(
        plugin_sources,
        default=(),
        check="E003",
        doc="plugins in addition to those of installed distributions; called first, in this order",
    )
    disabled_plugins: Setting[frozenset[str]] = Setting(
        set_of_names,
        default=(),
        check="E004",
        # One wrong entry must not switch on the plugins that the other entries disable.
        salvage=lambda value: frozenset(names_among(value)),
        doc="names of plugins to switch off; the results that they wrote stay readable",
    )
    strict_plugins: Setting[bool] = Setting(
        boolean, default=True, check="E005", doc="a plugin that fails to load is an error"
    )
    codings: Setting[tuple[str, ...]] = Setting(
        names,
        default=(),
        check="E006",
        # One wrong entry must not switch off the encryption that another entry names.
        salvage=names_among,
        doc="names of the content codings that are applied after the serializer, in this order",
    )
    chord_claim_timeout: Setting[float] = Setting(
        seconds_above_zero,
        default=timedelta(minutes=5),
        check="E015",
        doc="time that a worker has to send a chord's body; then another worker may send it",
    )
    expire_unfinished_after: Setting[float] = Setting(
        seconds_above_zero,
        default=timedelta(days=30),
        check="E009",
        doc="age at which an unfinished task or chord counts as lost and expires",
    )
    expire_batch_size: Setting[int] = Setting(
        whole_number(1),
        default=5000,
        check="E011",
        doc="rows that expiry deletes in one transaction",
    )
    expire_batch_pause: Setting[float] = Setting(
        seconds,
        default=0,
        check="E016",
        doc="seconds, or a `timedelta`, that expiry waits between two transactions",
    )

    # Django settings of this package outside of DJANGO_CELERY_RESULTS.

    task_id_max_length: Setting[int] = Setting(
        whole_number(1),
        default=255,
        check="E007",
        doc="length of the id columns, in characters; set it before the first `migrate`",
        top_level=True,
    )
    id_first_urls: Setting[bool] = Setting(
        boolean, default=True, check="E008", doc="serve the older URLs as well", top_level=True
    )

    def declared(self, *, top_level: bool) -> Mapping[str, Setting[Any]]:
        """Return the settings outside or inside ``DJANGO_CELERY_RESULTS``, by their keys."""
        found = [one for one in declared_in(type(self)) if isinstance(one, Setting)]
        return {one.key: one for one in found if one.top_level is top_level}

    def check(self, *, top_level: bool) -> Iterator[Error]:
        """Yield an error for each wrong value outside or inside ``DJANGO_CELERY_RESULTS``."""
        found = self.declared(top_level=top_level).values()
        yield from wrong_values(((one.path, one) for one in found), CHECK_PREFIX)

    @property
    def options(self) -> Mapping[str, Any]:
        """``DJANGO_CELERY_RESULTS`` as written, or an empty mapping."""
        return options_dict()

    @property
    def cache_backend(self) -> str:
        """``CELERY_CACHE_BACKEND``: the alias of the cache that ``django-cache://`` means."""
        return self.raw("CELERY_CACHE_BACKEND") or DEFAULT_CACHE_ALIAS

    def plugin_options(self, name: str) -> Mapping[str, Any]:
        """Return the options of plugin ``name``: its mapping in ``DJANGO_CELERY_RESULTS``."""
        value = self.options.get(name)
        return value if isinstance(value, Mapping) else {}

    def raw(self, name: str) -> Any:
        """Return the Django setting ``name`` as written, ``None`` if it is not set."""
        return written_at((name,))

    @property
    def use_tz(self) -> bool:
        """Django's ``USE_TZ``."""
        return bool(settings.USE_TZ)

    @property
    def migration_modules(self) -> Mapping[str, str | None]:
        """Django's ``MIGRATION_MODULES``: where a site keeps an app's migrations."""
        return settings.MIGRATION_MODULES


results_settings = ResultsSettings()
