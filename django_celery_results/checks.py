"""System checks: they report a wrong setting or plugin before it loses a result.

Each check's id is stable; the settings reference lists them. ``E050``, about the
migrations of 2.6, is in :mod:`django_celery_results.migrations._history`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error

from .backends.url import BackendURL
from .conf import CHECK_PREFIX, results_settings
from .exceptions import PluginError, ResultsError
from .options import OPTIONS
from .records import StorageLocation
from .registry.calling import Hooks
from .registry.catalogue import require_serializer
from .registry.discovery import describe
from .registry.loading import load_plugins

__all__ = [
    "check_backend",
    "check_options",
    "check_plugin_settings",
    "check_plugins",
    "check_settings",
]

#: Characters in the column that records the codings of a result.
ENCODING_LENGTH = 64


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Report wrong values of the settings outside ``DJANGO_CELERY_RESULTS``."""
    return [*results_settings.check(top_level=True)]


def check_options(**kwargs: Any) -> list[CheckMessage]:
    """Report wrong values and unknown keys of ``DJANGO_CELERY_RESULTS``."""
    options = results_settings.raw(OPTIONS)
    if options is None:
        return []
    if not isinstance(options, Mapping):
        return [_error(f"{OPTIONS} is {options!r}, not a dict of options.", "E001")]
    wrong = results_settings.check(top_level=False)
    return [*wrong, *_unknown_keys(options), *_unknown_disabled()]


def check_plugins(**kwargs: Any) -> list[CheckMessage]:
    """Report every plugin that failed to load, and codings that no plugin contributes."""
    plugins = load_plugins()
    kind = Error if results_settings.strict_plugins else checks.Warning
    level = "E" if results_settings.strict_plugins else "W"
    failures: list[CheckMessage] = [
        kind(
            f"Plugin {info} failed to load: {info.reason}.",
            hint=f"Fix or uninstall it, or name it in {OPTIONS}['DISABLED_PLUGINS'].",
            id=f"{CHECK_PREFIX}.{level}010",
        )
        for info in plugins.failures
    ]
    return [*failures, *_codings()]


def check_plugin_settings(**kwargs: Any) -> list[CheckMessage]:
    """Report the errors that the plugins find in their own settings."""
    found: list[CheckMessage] = []
    for name, caller in load_plugins().callers("check_settings"):
        try:
            messages = [message for answer in caller() for message in answer]
            if strange := [one for one in messages if not isinstance(one, CheckMessage)]:
                raise PluginError(f"it returned {strange[0]!r}, not a CheckMessage")  # noqa: TRY301 - reported like an error that the plugin raises
            found += messages
        except Exception as error:  # noqa: BLE001 - every error becomes part of the report
            message = f"The plugin {name!r} failed to check its settings: {describe(error)}."
            found.append(_error(message, "E017", hint="Report it to the plugin's author."))
    return found


def check_backend(**kwargs: Any) -> list[CheckMessage]:
    """Report a ``CELERY_RESULT_BACKEND`` of ours, or its cache, that cannot be opened."""
    url = results_settings.raw("CELERY_RESULT_BACKEND")
    if not isinstance(url, str) or (load_plugins().failures and results_settings.strict_plugins):
        # Nothing of ours, or nothing can be opened before what check_plugins reports is mended.
        return []
    generic, _, rest = url.partition("+")
    try:
        address = BackendURL.parse(rest if generic == GENERIC_SCHEME else url)
        if address.scheme in BUILT_IN_STORAGES:
            return [*_suitable_cache(_open(address))]
        if generic == GENERIC_SCHEME:
            # That there is one. To open it may mean to connect to something.
            Hooks(address.scheme)
    except ResultsError as error:
        return [_error(f"CELERY_RESULT_BACKEND = {url!r} cannot be used: {error}", "E013")]
    return []


#: The scheme under which any storage is found: ``django-results+mystore://``.
GENERIC_SCHEME = "django-results"
BUILT_IN_STORAGES = frozenset({"django-db", "django-cache"})


def _open(address: BackendURL) -> Any:
    options = dict(address.options)
    if serializer := options.pop("serializer", None):
        require_serializer(serializer)
    cache = results_settings.raw("CELERY_CACHE_BACKEND")
    is_cache = address.scheme == "django-cache"
    location = StorageLocation(
        name=address.scheme,
        alias=address.alias,
        path=address.path,
        options=options,
        parameters={"default_alias": cache} if is_cache and cache else {},
    )
    return Hooks(address.scheme).ask("open_storage", location=location)


def _suitable_cache(storage: Any) -> Iterator[CheckMessage]:
    """Yield a warning for a cache that loses results by its nature or by its default."""
    # Imported here: it brings all of Celery's backend, which no django.setup() should wait for.
    from .storages.cache.plugin import CacheStorage

    if not isinstance(storage, CacheStorage):
        return
    alias = storage.alias
    options = results_settings.raw("CACHES")[alias]
    kind = options["BACKEND"].rpartition(".")[2]
    if kind in {"LocMemCache", "DummyCache"}:
        yield checks.Warning(
            f"The result backend keeps results in the cache {alias!r}, a {kind}: what a worker "
            "stores there, no other process sees.",
            hint="Use a cache that processes share, such as Redis or Memcached.",
            id=f"{CHECK_PREFIX}.W003",
        )
    elif kind in {"DatabaseCache", "FileBasedCache"} and not _says_max_entries(options):
        yield checks.Warning(
            f"The result backend keeps results in the cache {alias!r}, a {kind}, which deletes "
            "entries that have not expired when it has more than 300 of them.",
            hint="Set MAX_ENTRIES in the cache's OPTIONS to more results than are ever kept.",
            id=f"{CHECK_PREFIX}.W004",
        )


def _says_max_entries(options: Mapping[str, Any]) -> bool:
    return "MAX_ENTRIES" in {**options, **options.get("OPTIONS", {})}


# -- The keys of DJANGO_CELERY_RESULTS -----------------------------------------------


def _unknown_keys(options: Mapping[str, Any]) -> Iterator[CheckMessage]:
    known = results_settings.declared(top_level=False)
    valid = sorted({*known, *(info.name for info in load_plugins().infos)})
    for key in options:
        if key not in valid:
            closest = get_close_matches(str(key), valid, n=1)
            hint = f"Did you mean {closest[0]!r}?" if closest else f"Valid: {', '.join(valid)}."
            message = f"{OPTIONS}[{key!r}] is neither a setting nor an installed plugin."
            yield checks.Warning(message, hint=hint, id=f"{CHECK_PREFIX}.W001")


def _unknown_disabled() -> Iterator[CheckMessage]:
    known = {info.name for info in load_plugins().infos}
    for name in sorted(results_settings.disabled_plugins - known):
        yield checks.Warning(
            f"{OPTIONS}['DISABLED_PLUGINS'] names {name!r}, which is not an installed plugin.",
            hint=f"Installed: {', '.join(sorted(known))}.",
            id=f"{CHECK_PREFIX}.W002",
        )


def _codings() -> Iterator[CheckMessage]:
    plugins = load_plugins()
    names = results_settings.codings
    for name in names:
        if plugins.coding(name) is None:
            yield _error(
                f"{OPTIONS}['CODINGS'] names {name!r}, which "
                f"{plugins.contributions.missing(name)}.",
                "E012",
                hint=f"Installed: {', '.join(sorted(plugins.contributions.codings))}.",
            )
    if len(_recorded(names)) > ENCODING_LENGTH:
        yield _error(
            f"{OPTIONS}['CODINGS'] is too long a chain: {_recorded(names)!r} has to fit into "
            f"the {ENCODING_LENGTH} characters of content_encoding.",
            "E014",
        )


def _recorded(names: Sequence[str]) -> str:
    """Return the content_encoding that results get at most."""
    found = [load_plugins().coding(name) for name in names]
    return ", ".join(["us-ascii", *(coding.name for coding in found if coding is not None)])


def _error(message: str, check_id: str, hint: str | None = None) -> Error:
    return Error(message, hint=hint, id=f"{CHECK_PREFIX}.{check_id}")
