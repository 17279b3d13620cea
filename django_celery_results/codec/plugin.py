"""Built-in plugin: Celery's serializers, the chain of codings, and text-safe storage.

A serializer turns a value into text or bytes. Codings that are switched on turn these into
other bytes. Bytes are stored as base64 text. ``content_type`` and ``content_encoding`` record
each step, so that reading needs no settings::

    application/json        utf-8              {"a": 1}
    application/x-python-…  binary             base64 of the pickle (as 2.6 wrote it)
    application/json        utf-8, zstd        base64 of zstd of the text
    application/json        utf-8, identity    base64 of text that no column could hold
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kombu import compression
from kombu.exceptions import ContentDisallowed
from kombu.serialization import registry  # type: ignore[attr-defined]  # absent from the stubs

from .. import hookimpl
from ..exceptions import HookError, ResultsError, ResultUnreadable
from ..records import PYTHON_CONTENT_TYPE, PYTHON_OBJECTS, Coding, Contents, split_encoding
from ..registry.catalogue import advice, get_compression
from ..registry.loading import load_plugins, readers_of
from ..sql.text import is_storable, storable
from . import fast_json
from .pickled_failures import packed, read_failure, unpacked

__all__ = ["IDENTITY", "CodecPlugin", "codings_for", "plugin", "recode"]

#: RFC 9110, 12.5.3: the coding that changes nothing. In a row it means "this is base64".
IDENTITY = "identity"

_IDENTITY_CODING = Coding(name=IDENTITY, encode=bytes, decode=bytes)

#: Fields that are text before they are encoded.
TEXT_FIELDS = frozenset({"traceback"})
#: Fields that are not stored if their value is ``None``.
OPTIONAL_FIELDS = frozenset({"traceback", "args", "kwargs"})
#: Fields that releases before 2.0 stored as a bare repr.
BARE_REPR_FIELDS = frozenset({"args", "kwargs"})

#: Kombu's content type of pickles.
PICKLED = "application/x-python-serialize"

_Payloads = dict[str, "str | bytes | None"]
#: The output of a coding for a field, by the names of the coding and the field.
_Coded = dict[tuple[str, str], bytes]


class CodecPlugin:
    """Encodes and decodes everything that other plugins leave to it."""

    @hookimpl(trylast=True)
    def contribute_codings(self) -> Iterable[Coding]:
        """Offer ``identity`` and every compression method that Kombu supports here."""
        yield _IDENTITY_CODING
        for content_type in compression.encoders():
            encoder, _ = get_compression(content_type)
            decoder = compression.get_decoder(content_type)
            yield Coding(name=content_type, encode=encoder, decode=decoder)

    @hookimpl(trylast=True)
    def encode(
        self, values: Mapping[str, Any], serializer: str, codings: Sequence[Coding]
    ) -> Contents:
        """Serialize the values, apply the codings and convert the output to text."""
        if serializer == PYTHON_OBJECTS:
            return Contents(
                fields=packed(values), content_type=PYTHON_CONTENT_TYPE, content_encoding="binary"
            )
        if not codings and fast_json.writes(serializer):
            texts = _write_quickly(values)
            if texts is not None:
                return Contents(
                    fields=texts, content_type=fast_json.CONTENT_TYPE, content_encoding="utf-8"
                )
        return _contents(*_serialize(values, serializer), codings)

    @hookimpl(trylast=True)
    def decode(
        self,
        contents: Contents,
        accept: frozenset[str] | None,
        codings: Mapping[str, Coding],
    ) -> Mapping[str, Any]:
        """Undo the steps that ``contents`` record, and return the values."""
        if contents.content_type == PYTHON_CONTENT_TYPE:
            return unpacked(contents.fields)
        encoding, names = split_encoding(contents.content_encoding)
        chain = [_installed(name, codings) for name in reversed(names)]
        is_plain = contents.content_type == fast_json.CONTENT_TYPE and encoding != "binary"
        if is_plain and not chain and accept and fast_json.CONTENT_TYPE in accept:
            values = _read_quickly(contents.fields)
            if values is not None:
                return values
        return {
            name: _read(name, text, contents.content_type, encoding, chain, accept)
            for name, text in contents.fields.items()
        }


plugin = CodecPlugin()


def codings_for(contents: Contents) -> Mapping[str, Coding]:
    """Return the installed codings by name, as :func:`recode` takes them.

    If ``contents`` need a coding that no active plugin has, the disabled plugins are loaded
    too. A coding that is not installed is left out.

    .. versionadded:: 3.0
    """
    return readers_of(load_plugins(), contents)


def recode(
    contents: Contents, kept: int, names: Sequence[str], codings: Mapping[str, Coding]
) -> Contents:
    """Return ``contents`` with other codings, from which the same values are read.

    The first ``kept`` codings stay. The later ones are undone, and the codings in ``names``
    are applied instead, in that order; nothing is deserialized. ``codings`` maps their names
    to the codings to undo and to apply. Raises
    :class:`~django_celery_results.exceptions.ResultUnreadable` if one is missing or cannot be
    undone.

    .. versionadded:: 3.0
    """
    encoding, applied = split_encoding(contents.content_encoding)
    chain = [_installed(name, codings) for name in reversed(applied[kept:])]
    before: _Coded = {}
    payloads = {
        name: _undone(name, text, _is_text(name, encoding) and not kept, chain, before)
        for name, text in contents.fields.items()
    }
    chosen = [_installed(name, codings) for name in names]
    inner = ", ".join([encoding, *applied[:kept]])
    return _contents(contents.content_type, inner, payloads, chosen, before)


# -- Writing -------------------------------------------------------------------------


def _write_quickly(values: Mapping[str, Any]) -> dict[str, str | None] | None:
    """Return the values as they are stored, or ``None`` if JSON cannot hold all of them.

    Kombu's JSON is ASCII, and escapes every character that a column could not hold.
    """
    try:
        return {name: _json_text(name, value) for name, value in values.items()}
    except Exception:  # noqa: BLE001 - the caller asks Kombu, which raises its own error
        return None


def _json_text(name: str, value: Any) -> str | None:
    if value is None and name in OPTIONAL_FIELDS:
        return None
    return storable(str(value)) if name in TEXT_FIELDS else fast_json.dumps(value)


def _contents(
    content_type: str,
    encoding: str,
    payloads: _Payloads,
    codings: Sequence[Coding],
    before: _Coded | None = None,
) -> Contents:
    """Apply the codings and convert the output to text."""
    payloads, applied = _coded(payloads, codings, before or {})
    if not applied and not all(map(_fits_as_text, payloads.items())):
        payloads, applied = _coded(payloads, [_IDENTITY_CODING], {})
    return Contents(
        fields={name: _to_text(one) for name, one in payloads.items()},
        content_type=content_type,
        content_encoding=", ".join([encoding, *applied]),
    )


def _serialize(values: Mapping[str, Any], serializer: str) -> tuple[str, str, _Payloads]:
    """Return the content type, the serializer's encoding and the payloads by name."""
    payloads: _Payloads = {}
    content_type, encoding = registry.name_to_type.get(serializer, ""), "utf-8"
    for name, value in values.items():
        if value is None and name in OPTIONAL_FIELDS:
            payloads[name] = None
        elif name in TEXT_FIELDS:
            payloads[name] = str(value)
        else:
            content_type, encoding, payloads[name] = registry.dumps(value, serializer=serializer)
    return content_type, encoding, payloads


def _fits_as_text(item: tuple[str, str | bytes | None]) -> bool:
    name, payload = item
    return not isinstance(payload, str) or name in TEXT_FIELDS or is_storable(payload)


def _coded(
    payloads: _Payloads, codings: Sequence[Coding], before: _Coded
) -> tuple[_Payloads, list[str]]:
    """Apply the codings that are wanted; return the payloads and the names of these codings."""
    size = _size(payloads) if codings else 0
    applied = []
    for coding in codings:
        if coding.wanted is not None and not coding.wanted(size):
            continue
        coded: _Payloads = {
            name: None
            if one is None
            else _bytes_of(coding, _to_bytes(one), before.get((coding.name, name)))
            for name, one in payloads.items()
        }
        if coding.only_if_smaller and _stored_size(coded) >= _stored_size(payloads):
            continue
        payloads = coded
        applied.append(coding.name)
    return payloads, applied


def _bytes_of(coding: Coding, payload: bytes, before: bytes | None) -> bytes:
    coded: object = (
        coding.encode(payload)
        if before is None or coding.renew is None
        else coding.renew(payload, before)
    )
    if not isinstance(coded, bytes):
        # If text were stored, readers would take it for content that was not coded.
        kind = type(coded).__name__
        raise HookError(f"The coding {coding.name!r} must return bytes, not {kind}")
    return coded


def _to_bytes(payload: str | bytes) -> bytes:
    # "surrogatepass" keeps lone surrogates, which UTF-8 cannot encode.
    return payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload


def _size(payloads: _Payloads) -> int:
    return sum(len(_to_bytes(one)) for one in payloads.values() if one is not None)


def _stored_size(payloads: _Payloads) -> int:
    """Return how many bytes the payloads would take if they were stored now."""
    return sum(
        len(_to_bytes(one)) if isinstance(one, str) else (len(one) + 2) // 3 * 4
        for one in payloads.values()
        if one is not None
    )


def _to_text(payload: str | bytes | None) -> str | None:
    if isinstance(payload, bytes):
        return b64encode(payload).decode("ascii")
    return None if payload is None else storable(payload)


# -- Reading -------------------------------------------------------------------------


def _installed(name: str, codings: Mapping[str, Coding]) -> Coding:
    try:
        return codings[name]
    except KeyError:
        raise ResultUnreadable(
            f"content coding {name!r} is not installed; install "
            f"{advice(name, 'the plugin that contributes it')} "
            f"(installed: {', '.join(sorted(codings))})"
        ) from None


def _read_quickly(fields: Mapping[str, str | None]) -> dict[str, Any] | None:
    """Return the values of JSON texts, or ``None`` if one of the texts is not JSON.

    The caller then reads them one by one, so that the error names the field.
    """
    if not fast_json.reads():
        return None
    try:
        return {
            name: text if text is None or name in TEXT_FIELDS else fast_json.loads(text)
            for name, text in fields.items()
        }
    except Exception:  # noqa: BLE001 - the caller then raises the error of the field
        return None


def _read(
    name: str,
    text: str | None,
    content_type: str,
    encoding: str,
    chain: Sequence[Coding],
    accept: frozenset[str] | None,
) -> Any:
    payload = _undone(name, text, _is_text(name, encoding), chain)
    if payload is None or name in TEXT_FIELDS:
        # This field was never serialized, whatever serializer the others went through.
        return payload
    try:
        if chain or encoding == "binary":
            _require_not_lost(payload, content_type)
        return _deserialize(payload, content_type, encoding, accept)
    except ContentDisallowed as error:
        raise ResultUnreadable(
            f"content type {content_type!r} is not accepted; add its serializer to "
            f"result_accept_content if you trust everyone who can write results"
        ) from error
    except ResultUnreadable:
        raise
    except (Exception, SystemExit) as error:
        # SystemExit: a class can raise anything while pickle rebuilds an object of it.
        if name in BARE_REPR_FIELDS:
            return _bare(payload) if chain else text
        failure = read_failure(payload) if content_type == PICKLED and name == "result" else None
        if failure is None:
            raise _corrupt(name, error) from error
        return failure


def _undone(
    name: str,
    text: str | None,
    as_text: bool,
    chain: Sequence[Coding],
    before: _Coded | None = None,
) -> str | bytes | None:
    """Undo the codings of ``text``; note the output that each coding had in ``before``."""
    if text is None or (as_text and not chain):
        return text
    done: str | bytes = text
    try:
        payload = b64decode(text, validate=True)
        for coding in chain:
            coded, payload = payload, coding.decode(payload)
            done = payload
            if before is not None:
                before[coding.name, name] = coded
        return payload.decode("utf-8", "surrogatepass") if as_text else payload
    except ResultsError:
        raise
    except Exception as error:
        if name in BARE_REPR_FIELDS:
            # It may also be an earlier state's, kept by a write with another encoding.
            return _bare(done) if as_text else done
        raise _corrupt(name, error) from error


def _is_text(name: str, encoding: str) -> bool:
    return name in TEXT_FIELDS or encoding != "binary"


def _corrupt(name: str, error: BaseException) -> ResultUnreadable:
    return ResultUnreadable(f"{name} is corrupt: {type(error).__name__}: {error}")


def _bare(payload: str | bytes) -> str:
    return payload if isinstance(payload, str) else payload.decode("utf-8", "backslashreplace")


def _deserialize(
    payload: str | bytes, content_type: str, encoding: str, accept: frozenset[str] | None
) -> Any:
    if content_type not in registry.type_to_name:
        raise ResultUnreadable(
            f"no serializer is installed for content type {content_type!r}; install "
            f"{advice(content_type, 'the plugin or library that provides it')}"
        )
    return registry.loads(payload, content_type, encoding, accept)


def _require_not_lost(payload: str | bytes, content_type: str) -> None:
    """Raise for an empty payload, if the serializer writes something even for empty text.

    Kombu does not pass an empty payload to the serializer, but returns it as the value.
    """
    serializer = registry.type_to_name.get(content_type)
    if not payload and serializer and registry.dumps("", serializer=serializer)[2]:
        raise ValueError("it is empty")
