"""System checks: a wrong setting or plugin is reported before it loses a result.

Each check's id is stable; the settings reference lists them. ``E050``, about the
migrations of 2.6, stands in :mod:`django_celery_results.migrations._history`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from django.core import checks
from django.core.checks import CheckMessage, Error

from .backends.url import BackendURL
from .conf import KNOWN_KEYS, results_settings
from .exceptions import PluginError, ResultsError
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

PREFIX = "django_celery_results"
OPTIONS = "DJANGO_CELERY_RESULTS"

#: Characters in the column that records the codings of a result.
ENCODING_LENGTH = 64


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Report the settings that are not part of ``DJANGO_CELERY_RESULTS``."""
    return [
        *_check(
            "DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH",
            results_settings.raw("DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH"),
            _is_positive_int,
            "a whole number above zero: characters in an id column",
            "E007",
        ),
        *_check(
            "DJANGO_CELERY_RESULTS_ID_FIRST_URLS",
            results_settings.raw("DJANGO_CELERY_RESULTS_ID_FIRST_URLS"),
            _is_bool,
            "True or False",
            "E008",
        ),
    ]


def check_options(**kwargs: Any) -> list[CheckMessage]:
    """Report wrong and unknown keys of ``DJANGO_CELERY_RESULTS``."""
    options = results_settings.raw(OPTIONS)
    if options is None:
        return []
    if not isinstance(options, Mapping):
        return [_error(f"{OPTIONS} is {options!r}, not a dict of options.", "E001")]
    found: list[CheckMessage] = []
    for key, (is_valid, wanted, check_id) in KEYS.items():
        found += _check(f"{OPTIONS}[{key!r}]", options.get(key), is_valid, wanted, check_id)
    return [*found, *_unknown_keys(options), *_unknown_disabled()]


def check_plugins(**kwargs: Any) -> list[CheckMessage]:
    """Report every plugin that failed to load, and codings that none contributes."""
    plugins = load_plugins()
    kind = Error if results_settings.strict_plugins else checks.Warning
    level = "E" if results_settings.strict_plugins else "W"
    failures: list[CheckMessage] = [
        kind(
            f"Plugin {info} failed to load: {info.reason}.",
            hint=f"Mend or uninstall it, or name it in {OPTIONS}['DISABLED_PLUGINS'].",
            id=f"{PREFIX}.{level}010",
        )
        for info in plugins.failures
    ]
    return [*failures, *_codings()]


def check_plugin_settings(**kwargs: Any) -> list[CheckMessage]:
    """Report what the plugins themselves say is wrong with their settings."""
    found: list[CheckMessage] = []
    for name, caller in load_plugins().callers("check_settings"):
        try:
            messages = [message for answer in caller() for message in answer]
            if strange := [one for one in messages if not isinstance(one, CheckMessage)]:
                raise PluginError(f"it gave {strange[0]!r}, which is no CheckMessage")  # noqa: TRY301 - reported like what the plugin raises
            found += messages
        except Exception as error:  # noqa: BLE001 - whatever it is becomes part of the report
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
            id=f"{PREFIX}.W003",
        )
    elif kind in {"DatabaseCache", "FileBasedCache"} and not _says_max_entries(options):
        yield checks.Warning(
            f"The result backend keeps results in the cache {alias!r}, a {kind}, which deletes "
            "entries that have not expired when it has more than 300 of them.",
            hint="Set MAX_ENTRIES in the cache's OPTIONS to more results than are ever kept.",
            id=f"{PREFIX}.W004",
        )


def _says_max_entries(options: Mapping[str, Any]) -> bool:
    return "MAX_ENTRIES" in {**options, **options.get("OPTIONS", {})}


# -- The keys of DJANGO_CELERY_RESULTS -----------------------------------------------


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_positive_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_time(value: object) -> bool:
    if isinstance(value, timedelta):
        return value >= timedelta(0)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_age(value: object) -> bool:
    return _is_time(value) and bool(value)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _is_list_of_names(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


#: What each key has to be: how that is told, in words, and the id of its check.
KEYS: Mapping[str, tuple[Callable[[object], bool], str, str]] = {
    "ALLOW_EDITS": (_is_bool, "True or False", "E002"),
    "PLUGINS": (_is_list, "a list of dotted paths, modules, classes or instances", "E003"),
    "DISABLED_PLUGINS": (_is_list_of_names, "a list of plugins' names", "E004"),
    "STRICT_PLUGINS": (_is_bool, "True or False", "E005"),
    "CODINGS": (_is_list_of_names, "a list of codings' names", "E006"),
    "EXPIRE_UNFINISHED_AFTER": (_is_age, "a timedelta, or seconds, above zero", "E009"),
    "EXPIRE_BATCH_SIZE": (_is_positive_int, "a whole number of rows above zero", "E011"),
    "CHORD_CLAIM_TIMEOUT": (_is_age, "a timedelta, or seconds, above zero", "E015"),
    "EXPIRE_BATCH_PAUSE": (_is_time, "a timedelta, or seconds, not below zero", "E016"),
}


def _check(
    name: str, value: object, is_valid: Callable[[object], bool], wanted: str, check_id: str
) -> Iterator[CheckMessage]:
    """Yield an error unless ``value`` is valid; ``None`` means that it is not set."""
    if value is not None and not is_valid(value):
        yield _error(f"{name} is {value!r}; it has to be {wanted}.", check_id)


def _unknown_keys(options: Mapping[str, Any]) -> Iterator[CheckMessage]:
    valid = sorted(KNOWN_KEYS | {info.name for info in load_plugins().infos})
    for key in options:
        if key not in valid:
            closest = get_close_matches(str(key), valid, n=1)
            hint = f"Did you mean {closest[0]!r}?" if closest else f"Valid: {', '.join(valid)}."
            message = f"{OPTIONS}[{key!r}] is no setting, and no plugin of that name is installed."
            yield checks.Warning(message, hint=hint, id=f"{PREFIX}.W001")


def _unknown_disabled() -> Iterator[CheckMessage]:
    known = {info.name for info in load_plugins().infos}
    for name in sorted(results_settings.disabled_plugins - known):
        yield checks.Warning(
            f"{OPTIONS}['DISABLED_PLUGINS'] names {name!r}, and no such plugin is installed.",
            hint=f"Installed: {', '.join(sorted(known))}.",
            id=f"{PREFIX}.W002",
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
    return Error(message, hint=hint, id=f"{PREFIX}.{check_id}")
