"""Methods of 2.6's backends that a site's subclass overrides: called as in 2.6, or refused.

This release neither encodes nor stores through most of the methods that 2.6 had for it. If a
subclass overrides one of them, the backend calls it all the same, which costs what it cost in 2.6.
An override that cannot work stops the backend from starting, and ``manage.py check`` reports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from kombu.utils.encoding import bytes_to_str

from ..exceptions import BackendMisconfigured
from ..records import Contents

if TYPE_CHECKING:
    from ..records import StoredGroup, StoredTask

__all__ = [
    "SubclassContents",
    "adapt",
    "content_of",
    "overrides",
    "refusals",
    "remembered",
    "require_supported",
]

_C = TypeVar("_C", bound=type)

#: Methods that are called as in 2.6 if a subclass overrides them.
HONOURED = (
    "encode_content",
    "decode_content",
    "_get_extended_properties",
    "_get_task_meta_for",
    "on_chord_part_return",
)
#: Methods of managers that cannot be called as in 2.6, and what to write instead.
REFUSED_OF_MANAGERS: Mapping[str, str] = {
    "get_all_expired": "say how long to keep a result with the plugin hook result_retention",
    "delete_expired": "act on what expires with the plugin hook before_expire",
}
#: The attributes of this package's backend classes as they were when the classes were made.
_originals: dict[type, dict[str, Any]] = {}


def remembered(kind: _C) -> _C:
    """Note the methods of a backend class of this package, to find overrides by (decorator)."""
    refused: Mapping[str, str] = getattr(kind, "refused", {})
    _originals[kind] = {name: getattr(kind, name, None) for name in (*HONOURED, *refused)}
    return kind


def overrides(kind: type, name: str) -> bool:
    """Return whether a subclass, a mixin or a patch replaces the method ``name`` of ``kind``."""
    own = next(_originals[one] for one in kind.__mro__ if one in _originals)
    return getattr(kind, name, None) is not own.get(name)


def refusals(kind: type) -> Iterator[str]:
    """Yield what is wrong with each override in ``kind`` that cannot work, and what to write."""
    refused: Mapping[str, str] = getattr(kind, "refused", {})
    for name, instead in refused.items():
        if overrides(kind, name):
            yield f"{_named(kind)} overrides {name}, which this release does not call: {instead}"
    for model, base, manager in getattr(kind, "own_models", tuple)():
        yield from _manager_refusals(model._default_manager, manager)
        if missing := _columns(base) - _columns(model):
            yield (
                f"{model._meta.label} lacks the columns {', '.join(sorted(missing))}: derive it "
                f"from {base._meta.label}, or add them, and migrate"
            )


def require_supported(kind: type) -> None:
    """Raise :class:`BackendMisconfigured` if ``kind`` has overrides that cannot work."""
    if found := list(refusals(kind)):
        raise BackendMisconfigured(". ".join(found))


def adapt(backend: Any, results: Any) -> None:
    """Make ``results`` call the methods of 2.6 that the backend's class overrides."""
    kind = type(backend)
    if overrides(kind, "encode_content") or overrides(kind, "decode_content"):
        results.by_subclass = SubclassContents(backend)
        if unstable := [one.name for one in results.codings if one.only_if_smaller or one.wanted]:
            raise BackendMisconfigured(
                f"{kind.__qualname__} overrides encode_content, which encodes each content by "
                f"itself, so the coding {unstable[0]!r} could apply to some and not to others: "
                "remove it from CODINGS, or make the override a coding (see the how-to guide)"
            )
    results.reads_one_by_one = overrides(kind, "_get_task_meta_for")
    results.counts_by_subclass = overrides(kind, "on_chord_part_return")


def content_of(results: Any, row: Any, content: Any) -> Any:
    """Return the value of one content, whose type and encoding are attributes of ``row``."""
    contents = Contents(
        fields={"result": content},
        content_type=row.content_type or "application/json",
        content_encoding=row.content_encoding or "utf-8",
    )
    return results.decode(str(row), contents, by_hooks=True)["result"]


def _manager_refusals(manager: Any, own: type) -> Iterator[str]:
    name = _named(type(manager))
    if not isinstance(manager, own):
        yield (
            f"{name}, the default manager of {manager.model._meta.label}, is not a "
            f"{own.__name__}: derive it from {_named(own)}"
        )
        return
    for method, instead in REFUSED_OF_MANAGERS.items():
        if getattr(type(manager), method) is not getattr(own, method):
            yield f"{name} overrides {method}, which expiry does not call: {instead}"


def _columns(model: Any) -> set[str]:
    # The key may have any name.
    return {field.name for field in model._meta.concrete_fields if not field.primary_key}


def _named(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class SubclassContents:
    """Encodes and decodes contents with a subclass's ``encode_content`` and ``decode_content``.

    As in 2.6, each content is encoded by a call of its own, tracebacks and absent arguments are
    not encoded, and the row has the content type and the encoding of the result.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        #: Makes the object that ``decode_content`` gets as ``obj``.
        self.row_for_decoding = getattr(backend, "row_for_decoding", _plain_row)

    def encode(self, values: Mapping[str, Any]) -> Contents:
        """Return the contents of the values of one record."""
        form = ("application/json", "utf-8")
        texts: dict[str, Any] = {}
        for name, value in values.items():
            if name == "traceback" or (value is None and name in {"args", "kwargs"}):
                texts[name] = None if value is None else str(value)
                continue
            content_type, encoding, content = self.backend.encode_content(value)
            texts[name] = bytes_to_str(content)
            if name in {"result", "body"}:
                form = (content_type, encoding)
        return Contents(fields=texts, content_type=form[0], content_encoding=form[1])

    def decode(
        self, contents: Contents, record: StoredTask | StoredGroup | None
    ) -> Mapping[str, Any]:
        """Return the values of ``contents``, which are those of ``record`` if there is one."""
        row = self.row_for_decoding(contents, record)
        return {name: self._decoded(row, name, one) for name, one in contents.fields.items()}

    def _decoded(self, row: Any, name: str, content: Any) -> Any:
        if content is None or name == "traceback":
            return content
        try:
            return self.backend.decode_content(row, content)
        except Exception:
            if name in {"args", "kwargs"}:
                return content  # Releases before 2.0 stored a repr, which no serializer reads.
            raise


def _plain_row(contents: Contents, record: StoredTask | StoredGroup | None) -> Any:
    """Return an object with the form of ``contents``, and the facts of ``record``."""
    names = () if record is None else [one.name for one in fields(record)]
    return SimpleNamespace(
        **{name: getattr(record, name) for name in names},
        content_type=contents.content_type,
        content_encoding=contents.content_encoding,
    )
