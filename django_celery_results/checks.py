"""System checks: they report a wrong setting or plugin before it loses a result.

Each check's id is stable; the settings reference lists them. ``E050``, about the
migrations of 2.6, is in :mod:`django_celery_results.migrations._history`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.core.checks import CheckMessage, Error

from .backends.subclasses import refusals
from .backends.url import BackendURL
from .conf import CHECK_PREFIX, results_settings
from .exceptions import BackendMisconfigured, PluginError, ResultsError
from .logs import sentence
from .options import OPTIONS
from .registry.calling import Hooks
from .registry.catalogue import require_serializer
from .registry.discovery import describe, indented
from .registry.loading import load_plugins

if TYPE_CHECKING:
    from .records import StorageLocation

__all__ = [
    "check_backend",
    "check_backend_class",
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
            sentence(f"Plugin {info} failed to load: {info.reason}"),
            hint=f"Fix or uninstall it, or name {info.full_name!r} in "
            f"{OPTIONS}['DISABLED_PLUGINS'].{indented(info.traceback)}",
            id=f"{CHECK_PREFIX}.{level}010",
        )
        for info in plugins.failures
    ]
    return [*failures, *_codings()]


def check_plugin_settings(**kwargs: Any) -> list[CheckMessage]:
    """Report the errors that the plugins find in their own settings."""
    found: list[CheckMessage] = []
    try:
        location = _site_location()
    except ResultsError:
        location = None  # check_backend reports it.
    for name, caller in load_plugins().callers("check_settings"):
        try:
            messages = [message for answer in caller(location=location) for message in answer]
            if strange := [one for one in messages if not isinstance(one, CheckMessage)]:
                raise PluginError(f"it returned {strange[0]!r}, not a CheckMessage")  # noqa: TRY301 - reported like an error that the plugin raises
            found += messages
        except Exception as error:  # noqa: BLE001 - every error becomes part of the report
            message = f"The plugin {name!r} failed to check its settings: {describe(error)}"
            hint = "Report it to the plugin's author."
            found.append(_error(sentence(message), "E017", hint=hint))
    return found


def check_backend(**kwargs: Any) -> list[CheckMessage]:
    """Report a ``CELERY_RESULT_BACKEND`` of ours, or its cache, that cannot be opened."""
    if load_plugins().failures and results_settings.strict_plugins:
        # A backend cannot be opened until the failures that check_plugins reports are mended.
        return []
    try:
        location = _site_location()
        if location is not None:
            hooks = Hooks(location.name)
            # Opening a third party's storage may connect to a server.
            if location.name in BUILT_IN_STORAGES:
                hooks.ask("open_storage", location=location)
    except ResultsError as error:
        url = results_settings.raw("CELERY_RESULT_BACKEND")
        return [_error(f"CELERY_RESULT_BACKEND = {url!r} cannot be used: {error}", "E013")]
    return []


def check_backend_class(**kwargs: Any) -> list[CheckMessage]:
    """Report what a backend class of the site's own overrides in vain."""
    kind = _site_backend_class()
    return [
        _error(f"{reason}.", "E018", hint="The upgrade guide has a section on subclasses.")
        for reason in (refusals(kind) if kind is not None else ())
    ]


def _site_backend_class() -> type | None:
    """Return the class that ``CELERY_RESULT_BACKEND`` names, if it is one of ours or derived."""
    from celery import current_app
    from celery.app.backends import BACKEND_ALIASES, by_url

    from .backends.base import ResultBackend

    url = results_settings.raw("CELERY_RESULT_BACKEND")
    if not isinstance(url, str) or url.partition(":")[0] in BACKEND_ALIASES:
        return None
    try:
        # The type stubs say that it returns the class alone.
        found: Any = by_url(url, current_app.loader)
        kind = found[0]
    except Exception:  # noqa: BLE001 - Celery itself reports a class that cannot be imported
        return None
    return kind if isinstance(kind, type) and issubclass(kind, ResultBackend) else None


#: The scheme under which any storage is found: ``django-results+mystore://``.
GENERIC_SCHEME = "django-results"
BUILT_IN_STORAGES = frozenset({"django-db", "django-cache"})


def _site_location() -> StorageLocation | None:
    """Return where ``CELERY_RESULT_BACKEND`` points; ``None`` where it names no storage of ours.

    Raises :class:`BackendMisconfigured` for a URL that cannot be parsed, or names a serializer
    that does not exist.
    """
    url = results_settings.raw("CELERY_RESULT_BACKEND")
    if not isinstance(url, str):
        return None
    generic, _, rest = url.partition("+")
    address = BackendURL.parse(rest if generic == GENERIC_SCHEME else url)
    if generic != GENERIC_SCHEME and address.scheme not in BUILT_IN_STORAGES:
        return None
    if address.serializer:
        require_serializer(address.serializer)
    return address.location(address.scheme)


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
    infos = load_plugins().infos
    known = {info.name for info in infos}
    for name in sorted(results_settings.disabled_plugins):
        if any(info.is_called(name) for info in infos):
            continue
        yield checks.Warning(
            f"{OPTIONS}['DISABLED_PLUGINS'] names {name!r}, which is not an installed plugin.",
            hint=f"Installed: {', '.join(sorted(known))}.",
            id=f"{CHECK_PREFIX}.W002",
        )


def _codings() -> Iterator[CheckMessage]:
    plugins = load_plugins()
    names = results_settings.codings
    for name in names:
        try:
            plugins.require_coding(name)
        except BackendMisconfigured as error:
            yield _error(str(error), "E012")
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
