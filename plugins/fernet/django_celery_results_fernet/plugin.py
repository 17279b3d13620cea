"""The plugin: the content coding ``fernet``, its settings and its command."""

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

#: No Fernet key is one: there are no dots in base64.
DOTTED_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
WANTED = (
    "a list of Fernet keys, newest first, as Fernet.generate_key() gives them, "
    "or a callable that returns one, or the dotted path of such a callable"
)


def keyring(value: object) -> Keyring:
    """Read the keys: a list of them, or who has them."""
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
        # Nobody could remember that it was asked.
        raise ValueError(f"{WANTED}: the callable has to be hashable") from None


def _listed(value: object) -> Keyring:
    # The keys themselves are never part of a message.
    if not isinstance(value, (list, tuple)):
        raise ValueError(WANTED)  # noqa: TRY004 - what Option wants
    try:
        return _made(tuple(value))
    except TypeError:
        raise ValueError(f"{WANTED}: one is no string") from None
    except ValueError as error:
        raise ValueError(f"{WANTED}: {error}") from None


#: To make one takes longer than to encrypt a result of the usual size.
_made = lru_cache(Keyring)


@lru_cache
def _imported(path: str) -> Keyring:
    if not DOTTED_PATH.fullmatch(path):
        # It is not shown: it may be a key, without a list around it.
        raise ValueError(f"{WANTED}: it is a string and no dotted path")
    try:
        source = import_string(path)
    except ImportError as error:
        raise ValueError(f"{WANTED}: {path!r} cannot be imported: {error}") from error
    except Exception as error:
        raise ValueError(f"{WANTED}: to import {path!r} raised {type(error).__name__}") from error
    if not callable(source):
        raise ValueError(f"{WANTED}: what is under the dotted path is none")  # noqa: TRY004 - what Option wants
    _require_hashable(source)
    return _asked(source)


@lru_cache
def _asked(source: Callable[[], Any]) -> Keyring:
    """Ask a store of keys: once, as it may be far away."""
    try:
        keys = source()
    except Exception as error:
        raise ValueError(f"{WANTED}: it raised {type(error).__name__}") from error
    return _listed(keys)


class FernetOptions(PluginOptions):
    """The settings under ``DJANGO_CELERY_RESULTS["fernet"]``."""

    plugin = "fernet"
    check_prefix = "django_celery_results_fernet"

    #: What encrypts and decrypts; without keys it does neither.
    keys: Option[Keyring] = Option(keyring, default=Keyring(()), check="E002", secret=True)

    def check(self) -> Iterator[CheckMessage]:
        """Yield what is wrong, also that there is no key where one is needed."""
        wrong = list(super().check())
        yield from wrong
        if any(one.is_serious() for one in wrong) or self.plugin not in results_settings.codings:
            return
        if not self.keys.fingerprints:
            yield Error(
                "DJANGO_CELERY_RESULTS['CODINGS'] has 'fernet', and there is no key.",
                hint="Set DJANGO_CELERY_RESULTS['fernet']['KEYS'] to a list with what "
                "cryptography.fernet.Fernet.generate_key() gives, and keep it secret.",
                id=f"{self.check_prefix}.E003",
            )


options = FernetOptions()


@hookimpl
def contribute_codings() -> Iterable[Coding]:
    """Offer the coding ``fernet``."""
    yield Coding(name="fernet", encode=encrypt, decode=decrypt)


@hookimpl
def contribute_commands() -> Iterable[Command]:
    """Offer the action ``rotate``."""
    yield Command(
        name="rotate",
        help="encrypt stored results anew that are not under the newest Fernet key",
        description="Encrypts with the newest of the plugin fernet's keys what is stored under "
        "an older one. Workers may go on meanwhile, and it may be interrupted and begun again.",
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
    """Return what was encrypted with any of the keys."""
    return options.keys.decrypt(stored)


def add_arguments(parser: CommandParser) -> None:
    """Declare the arguments of ``rotate``."""
    from . import rotate_command

    rotate_command.add_arguments(parser)


def rotate(command: BaseCommand, given: Any) -> None:
    """Run ``rotate``, which brings models."""
    from . import rotate_command

    try:
        rotate_command.run(command, given, options.keys)
    except BackendMisconfigured as error:
        raise CommandError(str(error)) from error
