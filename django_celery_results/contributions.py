"""The objects that plugins contribute, each with a name: serializers, codings and commands.

Plugin authors import them from :mod:`django_celery_results.records`, together with the
other types that hooks use. This module does not import Django at run time.
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

    A site selects it by ``name`` in ``result_serializer`` (or in the result backend URL)
    and, as for any serializer, must allow it in ``result_accept_content``.
    """

    name: str
    encode: Callable[[Any], str | bytes]
    decode: Callable[[Any], Any]
    #: A MIME type that no other serializer uses. It is stored with each result.
    content_type: str
    #: ``"utf-8"`` if ``encode`` returns text, ``"binary"`` if it returns bytes.
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
                f"is not one of {', '.join(SERIALIZER_ENCODINGS)}"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Coding:
    """A content coding that a plugin contributes: bytes to bytes, and back.

    A site switches it on by ``name`` in ``CODINGS``. The name is stored with each result
    that it was applied to, like a token in HTTP's Content-Encoding.
    """

    name: str
    encode: Callable[[bytes], bytes]
    decode: Callable[[bytes], bytes]
    #: Called once per record with the total size of its contents in bytes. If it returns
    #: false, the coding is not applied to the record.
    wanted: Callable[[int], bool] | None = None
    #: For compression: do not apply the coding to a record whose contents, taken together,
    #: would not become smaller.
    only_if_smaller: bool = False
    #: For a coding that keeps contents elsewhere: called instead of ``encode`` when stored
    #: contents are converted to another form. It receives the new bytes, and the bytes that
    #: ``encode`` returned for the old contents. The data that the coding keeps for those must
    #: stay until nothing can refer to it any more.
    renew: Callable[[bytes, bytes], bytes] | None = None

    def __post_init__(self) -> None:
        _require_name("coding", self.name)
        _require_callables("coding", self.name, self.encode, self.decode)
        if self.name in SERIALIZER_ENCODINGS:
            raise ValueError(f"coding {self.name!r}: the name is reserved for serializers")


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """An action that a plugin adds to ``manage.py celery_results``."""

    #: The word after ``manage.py celery_results``: lowercase letters, digits and hyphens.
    name: str
    #: One line for the list of actions.
    help: str
    #: Called with Django's command object and a mapping of the parsed options. It prints to
    #: ``command.stdout`` and raises ``CommandError`` for problems.
    run: Callable[[BaseCommand, Mapping[str, Any]], None]
    #: Called with the action's own argparse parser, to declare its arguments.
    add_arguments: Callable[[CommandParser], None] | None = None
    #: Text that ``--help`` prints above the arguments. If empty, ``--help`` prints ``help``.
    description: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", self.name):
            raise ValueError(
                f"command name {self.name!r} is invalid: use up to 40 lowercase letters, digits "
                "and hyphens, starting with a letter"
            )
        declared = () if self.add_arguments is None else (self.add_arguments,)
        _require_callables("command", self.name, self.run, *declared)


def _require_name(kind: str, name: object) -> None:
    if not isinstance(name, str) or not CONTRIBUTION_NAME.fullmatch(name):
        raise ValueError(
            f"{kind} name {name!r} is invalid: use 1 to 40 letters, digits or !#$%&'*+.^_`|~/-"
        )


def _require_callables(kind: str, name: str, *functions: object) -> None:
    if not all(callable(function) for function in functions):
        raise ValueError(f"{kind} {name!r}: its functions must be callable")
