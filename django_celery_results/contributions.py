"""What plugins contribute: serializers, codings and commands, each with its name.

Plugin authors import them from :mod:`django_celery_results.records`, with all else that
crosses a hook. Nothing here imports Django.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.core.management.base import BaseCommand, CommandParser

__all__ = ["Coding", "Command", "Serializer"]

#: RFC 9110, 5.6.2 (token), and the slash of Kombu's compression types.
CONTRIBUTION_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~/-]{1,40}")
#: Words that ``content_encoding`` uses for a serializer's own output.
SERIALIZER_ENCODINGS = ("utf-8", "us-ascii", "binary")


@dataclass(frozen=True, kw_only=True, slots=True)
class Serializer:
    """A serializer that a plugin contributes: values to text or bytes, and back.

    It is selected by ``name`` in ``result_serializer`` (or in the result backend URL)
    and has to be allowed by ``result_accept_content`` like every other.
    """

    name: str
    encode: Callable[[Any], str | bytes]
    decode: Callable[[Any], Any]
    #: A MIME type that no other serializer uses; stored with each result.
    content_type: str
    #: ``"utf-8"`` where ``encode`` gives text, ``"binary"`` where it gives bytes.
    content_encoding: str = "utf-8"

    def __post_init__(self) -> None:
        _require_name("serializer", self.name)
        _require_callables("serializer", self.name, self.encode, self.decode)
        if not re.fullmatch(r"[\w.+-]+/[\w.+-]+", self.content_type):
            raise ValueError(
                f"serializer {self.name!r}: content_type {self.content_type!r} is not a MIME type"
            )
        if self.content_encoding not in SERIALIZER_ENCODINGS:
            raise ValueError(
                f"serializer {self.name!r}: content_encoding {self.content_encoding!r} "
                f"is none of {', '.join(SERIALIZER_ENCODINGS)}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Coding:
    """A content coding that a plugin contributes: bytes to bytes, and back.

    It is switched on by ``name`` in ``CODINGS``; the name is stored with each result
    that it was applied to, like the tokens of HTTP's Content-Encoding.
    """

    name: str
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]
    #: Asked once a record with the bytes of all its contents; false leaves the coding out.
    wanted: Callable[[int], bool] | None = None
    #: Leave the coding out of a record whose contents, all together, would take as much
    #: room with it as without: for compression.
    only_if_smaller: bool = False
    #: For a coding that keeps contents elsewhere, called instead of ``encode`` when stored
    #: contents are put into another form: with the new bytes, and with what ``encode``
    #: had given for the old ones. What it kept for these has to stay until nothing can
    #: point to it any more.
    renew: Callable[[bytes, bytes], bytes] | None = None

    def __post_init__(self) -> None:
        _require_name("coding", self.name)
        _require_callables("coding", self.name, self.encode, self.decode)
        if self.name in SERIALIZER_ENCODINGS:
            raise ValueError(f"coding {self.name!r}: the name is taken by serializers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """An action that a plugin adds to ``manage.py celery_results``."""

    #: The word after ``manage.py celery_results``: small letters, digits and hyphens.
    name: str
    #: One line for the list of actions.
    help: str
    #: Called with Django's command and the parsed options by name: it prints to
    #: ``command.stdout`` and raises ``CommandError`` for what is wrong.
    run: Callable[[BaseCommand, Mapping[str, Any]], None]
    #: Called with the action's own argparse parser, to declare its arguments.
    add_arguments: Callable[[CommandParser], None] | None = None
    #: What ``--help`` prints above the arguments; ``help`` where it is empty.
    description: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", self.name):
            raise ValueError(
                f"command name {self.name!r} is not a word of small letters, digits and hyphens"
            )
        declared = () if self.add_arguments is None else (self.add_arguments,)
        _require_callables("command", self.name, self.run, *declared)


def _require_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not CONTRIBUTION_NAME.fullmatch(name):
        raise ValueError(
            f"{kind} name {name!r} is not a word of 1 to 40 letters, digits and !#$%&'*+.^_`|~/-"
        )


def _require_callables(kind: str, name: str, *functions: object) -> None:
    if not all(callable(function) for function in functions):
        raise ValueError(f"{kind} {name!r}: its functions must be callables")
