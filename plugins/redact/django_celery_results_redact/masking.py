"""Masking one record: find the secrets in it, and replace each with the mask."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from itertools import groupby
from os.path import commonprefix
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus
from uuid import UUID

from celery import current_task, states

from .rules import FIELDS, is_secret_key, options, task_rule
from .sensitive import EVERY, Places, frame_secrets, secret_places, sensitive_names
from .texts import Span, keyed_spans, parsed_spans, replaced
from .values import ATOMS, changed, inside, parts, scalars

if TYPE_CHECKING:
    from django_celery_results.records import TaskRecord

__all__ = ["LEAST", "TaskMasking"]

#: Shortest secret, in characters, that is also masked in other places than under its name: a
#: shorter one would match in the middle of words.
LEAST = 4
#: Values that are never a secret, whatever their key.
NO_SECRETS = frozenset({"None", "True", "False", "null", "true", "false"})

#: ISO/IEC 7812: 13 to 19 digits, grouped or not. Card numbers begin with 2 to 6.
CARD_NUMBER = re.compile(r"[2-6](?<![\w.-].)\d{3}(?:[ -]?\d){9,15}(?![\w-])")
CARD_LENGTHS = range(13, 20)
#: Longest integer, in bits, that is written out as text; Python's own limit is about 14,000.
LONGEST_NUMBER = 1000
#: Up to this many texts, plain alternatives are as fast as a nested expression.
FEW = 4

logger = logging.getLogger(__name__)


class TaskMasking:
    """Masks one record, by the rules for its task and the secrets found in it."""

    def __init__(self, task: TaskRecord) -> None:
        self.task = task
        self.mask = options.mask
        rule = task_rule(task.name)
        marked = sensitive_names(task.name)
        self.whole = rule.fields | ({"args", "kwargs"} if EVERY in marked else set())
        names = rule.names | marked
        self.is_secret: Callable[[object], bool] = partial(
            is_secret_key, patterns=tuple(options.keys), names=names
        )
        self.secret_places = secret_places(task.name, self.is_secret)
        self.patterns = [re.compile(one) for one in options.patterns]
        self.card_numbers = options.card_numbers
        self.spans = {
            field: self._find(field, text)
            for field, text in (("args", task.args), ("kwargs", task.kwargs))
            if isinstance(text, str)
        }
        self.keys: dict[Any, Any] = {}
        self.known_texts = frozenset(self._secrets())
        self.known = _any_of(self.known_texts)

    def apply(self) -> None:
        """Replace the record's values with masked ones."""
        for field in FIELDS:
            value = getattr(self.task, field)
            if value is not None:
                setattr(self.task, field, self._field(field, value))
        if self.task.stamps:
            self.task.stamps = self._value(self.task.stamps)

    def _field(self, field: str, value: Any) -> Any:
        try:
            if field == "meta":
                return self._meta(value)
            if field in self.whole:
                return self._without(value) if field == "result" else self.mask
            if field in {"args", "kwargs"}:
                return self._arguments(field, value)
            return self._value(value)
        except Exception as error:  # noqa: BLE001 - an object of the site may raise anything
            # Only the class: the error's text may contain the secret.
            logger.warning(
                "The %s of task %s cannot be looked through (%s), and is masked as a whole",
                field,
                self.task.task_id,
                type(error).__name__,
            )
            if field == "meta":
                return _children(value)
            return self._without(value) if field == "result" else self.mask

    def _meta(self, meta: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the masked meta; the children in it are ids, which Celery needs unchanged."""
        own = {key: one for key, one in meta.items() if key != "children"}
        masked = dict.fromkeys(own, self.mask) if "meta" in self.whole else self._value(own)
        return {**masked, **_children(meta)}

    def _without(self, result: Any) -> Any:
        """Return the result masked as a whole; a failure keeps its exception class."""
        if self.task.status not in states.EXCEPTION_STATES:
            return self.mask
        if isinstance(result, BaseException):
            return changed(result, lambda key, _: (self.mask,) if key is None else self.mask)
        if not isinstance(result, Mapping) or "exc_type" not in result:
            return self.mask  # The task stored a value that is no exception.
        kept = {name: result[name] for name in ("exc_type", "exc_module") if name in result}
        return {**kept, "exc_message": (self.mask,)}

    # -- What is secret --------------------------------------------------------------

    def _secrets(self) -> Iterable[str]:
        """Return the secrets in this record, in each form that other text may contain."""
        found: set[str] = set()
        for one in self._secret_values():
            found.update(map(_as_text, scalars(one)))
        long = {one for one in found if len(one.strip()) >= LEAST} - NO_SECRETS - {self.mask}
        for one in long:
            yield from (one, repr(one)[1:-1], json.dumps(one)[1:-1], one.replace("'", r"\'"))
            yield from (quote(one, "", errors="replace"), quote_plus(one, errors="replace"))

    def _secret_values(self) -> Iterable[Any]:
        task = self.task
        yield from frame_secrets()
        for value in (task.kwargs, task.meta, task.result, task.stamps):
            yield from self._keyed(value)
        for args, kwargs in [(task.args, task.kwargs), self._own_arguments()]:
            yield from self._keyed(kwargs)
            yield from self._keyed(args)
            if isinstance(args, (list, tuple)):
                yield from (one for place, one in enumerate(args) if self.secret_places.has(place))
            for field, one in (("args", args), ("kwargs", kwargs)):
                if isinstance(one, str):
                    yield from self._in_repr(field, one)
                elif field in self.whole:
                    yield one

    def _own_arguments(self) -> tuple[Any, Any]:
        """Return the arguments themselves, if the task runs in this process."""
        request = getattr(current_task, "request", None)
        if request is None or request.id != self.task.task_id:
            return None, None
        return request.args, request.kwargs

    def _keyed(self, value: Any) -> Iterable[Any]:
        """Return the values of secret keys, at any depth."""
        for inner in (one for one in inside(value) if type(one) not in ATOMS):
            with suppress(Exception):
                yield from (one for key, one in parts(inner) if self.is_secret(key))

    def _in_repr(self, field: str, text: str) -> Iterable[str]:
        for start, stop in self.spans[field] or ():
            for literal in re.findall(r"'(?:\\'|[^'])*'|\"[^\"]*\"|[\w.+-]+", text[start:stop]):
                yield literal.strip("'\"").replace(r"\'", "'")

    # -- Masking ---------------------------------------------------------------------

    def _find(self, field: str, text: str) -> list[Span] | None:
        places = self.secret_places if field == "args" else Places()
        return parsed_spans(text, self.is_secret, places.has)

    def _arguments(self, field: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._repr(field, value)
        if field == "args" and isinstance(value, (list, tuple)):
            value = [
                self.mask if self.secret_places.has(place) and one is not None else one
                for place, one in enumerate(value)
            ]
        return self._value(value)

    def _repr(self, field: str, text: str) -> str:
        spans: Iterable[Span] | None = self.spans[field]
        if spans is None:
            if field == "args" and self.secret_places:
                return self.mask
            spans = keyed_spans(text, self.is_secret, certain=True)
        return self._text(replaced(text, spans, self.mask))

    def _value(self, value: Any, key: object = None) -> Any:
        """Return ``value`` without its secrets, or the same object if it has none."""
        if value is None or self.is_secret(key):
            return None if value is None else self.mask
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (bytes, bytearray)):
            text = value.decode("utf-8", "surrogateescape")
            masked = self._text(text).encode("utf-8", "surrogateescape")
            return value if masked == value else type(value)(masked)
        if isinstance(value, (int, float, Decimal, UUID)):
            return self._number(value)
        masked = changed(value, lambda key, one: self._value(one, key))
        if isinstance(value, Mapping) and any(self._key(one) is not one for one in value):
            return {self._key(one): masked[one] for one in value}
        return masked

    def _key(self, key: Any) -> Any:
        """Return a key without its secrets: a key may be a token or a card number."""
        if type(key) not in {str, bytes, int}:
            return key
        if key not in self.keys:
            # Most dicts share their keys with other dicts.
            self.keys[key] = self._value(key)
        masked = self.keys[key]
        return key if masked == key else masked

    def _number(self, value: Any) -> Any:
        # A whole number may arrive as a float, as in a pandas column with missing values.
        text = _as_text(value).removesuffix(".0")
        is_card = self.card_numbers and len(text) in CARD_LENGTHS and _is_card(text)
        return self.mask if is_card or text in self.known_texts else value

    def _text(self, text: str) -> str:
        masked = self.known.sub(lambda _: self.mask, text)
        for pattern in self.patterns:
            masked = pattern.sub(self._matched, masked)
        if self.card_numbers:
            masked = CARD_NUMBER.sub(self._card, masked)
        masked = replaced(masked, keyed_spans(masked, self.is_secret), self.mask)
        return text if masked == text else masked

    def _matched(self, match: re.Match[str]) -> str:
        """Return a match of a pattern with its group ``secret``, or else the whole, masked."""
        if match.groupdict().get("secret") is None:
            return self.mask
        start, stop = (place - match.start() for place in match.span("secret"))
        return match[0][:start] + self.mask + match[0][stop:]

    def _card(self, match: re.Match[str]) -> str:
        """Return a run of digits with the card number at its start masked, if there is one."""
        text = match[0]
        ends = [end for end in range(len(text), 0, -1) if not text[end : end + 1].isdigit()]
        end = next((end for end in ends if _is_card(text[:end])), 0)
        return self.mask + text[end:] if end else text


def _children(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {"children": meta["children"]} if "children" in meta else {}


def _as_text(value: Any) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    if isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
        # Python refuses to convert larger integers to text, because it takes so long.
        return ""
    return str(value)


def _any_of(secrets: frozenset[str]) -> re.Pattern[str]:
    return re.compile(_alternatives(sorted(secrets)) if secrets else "(?!)")


def _alternatives(texts: Sequence[str], depth: int = 20) -> str:
    """Return a regular expression that matches any of these sorted texts, longest first.

    Texts that share a prefix share the match of it, so that ten thousand secrets take
    hardly longer to find than one.
    """
    if len(texts) <= FEW or not depth:
        return "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    start = len(commonprefix([texts[0], texts[-1]]))  # noqa: RUF071  characters, not path segments
    groups = [list(group) for _, group in groupby(texts, key=lambda one: one[: start + 1])]
    # A text that equals the common prefix sorts first, so reversing puts it last.
    found = [_alternatives([one[start:] for one in group], depth - 1) for group in groups]
    return f"{re.escape(texts[0][:start])}(?:{'|'.join(reversed(found))})"


def _is_card(text: str) -> bool:
    """Return whether the digits are a card number, by the Luhn check digit."""
    if CARD_NUMBER.fullmatch(text) is None:
        return False
    digits = [int(one) for one in reversed(text) if one.isdigit()]
    doubled = [sum(divmod(2 * one, 10)) for one in digits[1::2]]
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
