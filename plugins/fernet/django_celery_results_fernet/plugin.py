"""The plugin's hooks: the content coding ``fernet``, its settings and its command."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django.core.checks import Error
from django.core.management.base import CommandError
from django.utils.module_loading import import_string

from django_celery_results import hookimpl
from django_celery_results.conf import results_settings
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.options import Option, PluginOptions
from django_celery_results.records import Coding, Command

from .keyring import Keyring

if TYPE_CHECKING:
    from django.core.checks import CheckMessage
    from django.core.management.base import BaseCommand, CommandParser

__all__ = ["FernetOptions", "options"]

#: A Fernet key never matches: base64 contains no dots.
DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
WANTED = (
    "a list of Fernet keys, newest first, as Fernet.generate_key() gives them, "
    "or a callable that returns one, or the dotted path of such a callable"
)


def keyring(value: object) -> Keyring:
    """Read the keys, from a list, a callable or the dotted path of a callable."""
    if isinstance(value, str):
        return _imported(value)
    if callable(value):
        _require_hashable(value)
        return _asked(value)
    return _listed(value)


def _require_hashable(source: Callable[[], Any]) -> None:
    try:
        hash(source)
    except TypeError:
        # lru_cache could not store its answer.
        raise ValueError(f"{WANTED}: the callable has to be hashable") from None


def _listed(value: object) -> Keyring:
    # An error message never contains a key.
    if not isinstance(value, (list, tuple)):
        raise ValueError(WANTED)  # noqa: TRY004 - Option expects ValueError
    try:
        return _made(tuple(value))
    except TypeError:
        raise ValueError(f"{WANTED}: one of them is not a string") from None
    except ValueError as error:
        raise ValueError(f"{WANTED}: {error}") from None


#: Cached: making a keyring takes longer than encrypting a result of the usual size.
_made = lru_cache(Keyring)


@lru_cache
def _imported(path: str) -> Keyring:
    if not DOTTED_PATH.fullmatch(path):
        # The value is not shown: it may be a key that was written without a list around it.
        raise ValueError(f"{WANTED}: the string is not a dotted path")
    try:
        source = import_string(path)
    except ImportError as error:
        raise ValueError(f"{WANTED}: {path!r} cannot be imported: {error}") from error
    except Exception as error:
        raise ValueError(f"{WANTED}: importing {path!r} raised {type(error).__name__}") from error
    if not callable(source):
        raise ValueError(f"{WANTED}: the object at the dotted path is not callable")  # noqa: TRY004 - as above
    _require_hashable(source)
    return _asked(source)


@lru_cache
def _asked(source: Callable[[], Any]) -> Keyring:
    """Return the keys of a key store, which is called only once, because it may be remote."""
    try:
        keys = source()
    except Exception as error:
        raise ValueError(f"{WANTED}: the callable raised {type(error).__name__}") from error
    return _listed(keys)


class FernetOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["fernet"]``."""

    plugin = "fernet"
    check_prefix = "django_celery_results_fernet"

    #: The keys, as an object that encrypts and decrypts; by default it has none.
    keys: Option[Keyring] = Option(keyring, default=Keyring(()), check="E002", secret=True)

    def check(self) -> Iterator[CheckMessage]:
        """Yield the problems of the settings, such as no key if ``CODINGS`` has ``fernet``."""
        wrong = list(super().check())
        yield from wrong
        if any(one.is_serious() for one in wrong) or self.plugin not in results_settings.codings:
            return
        if not self.keys.fingerprints:
            yield Error(
                "DJANGO_CELERY_RESULTS['CODINGS'] has 'fernet', but there is no key.",
                hint="Set DJANGO_CELERY_RESULTS['fernet']['KEYS'] to a list with a key from "
                "cryptography.fernet.Fernet.generate_key(), and keep it secret.",
                id=f"{self.check_prefix}.E003",
            )


options = FernetOptions()


@hookimpl
def contribute_codings() -> Iterable[Coding]:
    """Contribute the coding ``fernet``."""
    yield Coding(name="fernet", encode=encrypt, decode=decrypt)


@hookimpl
def contribute_commands() -> Iterable[Command]:
    """Contribute the action ``rotate``."""
    yield Command(
        name="rotate",
        help="re-encrypt stored results with the newest Fernet key",
        description="Encrypts stored results that are under an older key with the newest key of "
        "the plugin fernet. Workers may keep running, and an interrupted run can be repeated.",
        run=rotate,
        add_arguments=add_arguments,
    )


@hookimpl
def check_settings() -> Iterable[CheckMessage]:
    """Report wrong settings."""
    return options.check()


def encrypt(content: bytes) -> bytes:
    """Return ``content`` encrypted with the newest key."""
    return options.keys.encrypt(content)


def decrypt(stored: bytes) -> bytes:
    """Return ``stored`` decrypted with the key that encrypted it."""
    return options.keys.decrypt(stored)


def add_arguments(parser: CommandParser) -> None:
    """Declare the options of ``rotate``."""
    from . import rotate_command

    rotate_command.add_arguments(parser)


def rotate(command: BaseCommand, given: Any) -> None:
    """Run ``rotate``; its module imports models, so it is imported here."""
    from . import rotate_command

    try:
        rotate_command.run(command, given, options.keys)
    except BackendMisconfigured as error:
        raise CommandError(str(error)) from error
