"""Secrets in text: in assignments such as ``password='…'``, and in the reprs of arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

__all__ = ["Span", "is_option", "keyed_spans", "parsed_spans", "replaced"]

#: A place in a text: the index of the first character, and the index after the last.
Span = tuple[int, int]
IsSecret = Callable[[object], bool]

#: A name and the sign that its value follows, which a command-line option does not need.
KEY = re.compile(
    r"""
    (?<![\w-])(?P<option>--)?(?P<key>[\w-]+)
    (?:\\*["']?\s*(?:=>|[:=](?!=))\s* | (?(option)(?:\\*["'],\s*|\s+)(?!-)|(?!)))
    """,
    re.VERBOSE,
)
#: The value: in quotes, in the escaped quotes of a nested string, in brackets, or one word.
VALUE = re.compile(
    r"""
    [bru]{0,2}(?P<quote>["'])(?:\\.|(?!(?P=quote)).)*(?:(?P=quote)|\\?\Z)
    | \\+["'].*?(?:\\["']|\Z)
    | (?P<bracket>[\[({])
    | [^\s,;&"'<>)\]}\\]+
    """,
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
#: A value whose end is certain.
CERTAIN = re.compile(r"""(?:'[^'\\]*'|"[^"\\]*"|[\w.+-]+)(?=\s*[,)\]}])""")
#: The tokens that matter when matching brackets. An escaped quote neither opens nor closes.
BRACKETS = re.compile(
    r"""\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?P<open>[\[({])|(?P<close>[\])}])""",
    re.DOTALL,
)
PAIR = 2
#: Values that mean "no value".
NOTHING = frozenset({"None", "null"})
#: Celery escapes only the single quote in a repr (``celery.utils.saferepr``). Other
#: backslashes, and characters that no literal may contain, must not be parsed as syntax.
NO_SYNTAX = re.compile(r"\\(?!')|[\n\r\f\x00]")


def replaced(text: str, spans: Iterable[Span], mask: str) -> str:
    """Return ``text`` with each span replaced by the mask, in the quotes that the span has."""
    parts, end = [], 0
    for start, stop in sorted(spans):
        if start >= end:
            opening = re.match(r"""\\*["']|""", text[start:stop])
            quotes = opening[0] if opening else ""
            parts += [text[end:start], quotes, mask, quotes]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


# -- Any text ------------------------------------------------------------------------


def keyed_spans(text: str, is_secret: IsSecret, *, certain: bool = False) -> Iterator[Span]:
    """Yield the spans of the values of secret keys.

    With ``certain``, a value whose end is uncertain extends to the end of the text.
    """
    end = 0
    for found in KEY.finditer(text) if any(one in text for one in (":", "=", "--")) else ():
        start = found.end()
        if not end <= start < len(text) or not is_secret(found["key"]):
            continue
        value = (CERTAIN if certain else VALUE).match(text, start)
        if value is not None and value[0] not in NOTHING:
            end = value.end() if certain or not value["bracket"] else _closing(text, start)
        elif value is None and certain:
            end = len(text)
        if end > start:
            yield start, end


def _closing(text: str, start: int) -> int:
    """Return the index after the bracket that closes the one at ``start``, or the text's end."""
    depth = 0
    for found in BRACKETS.finditer(text, start):
        depth += bool(found["open"]) - bool(found["close"])
        if not depth:
            return found.end()
    return len(text)


# -- The reprs of arguments ----------------------------------------------------------


def parsed_spans(
    text: str, is_secret: IsSecret, is_place: Callable[[int], bool]
) -> list[Span] | None:
    """Return the spans of secret values in a repr; ``None`` if it cannot be parsed.

    ``is_place`` says which of the outermost values are secret by position, from 0.
    """
    try:
        tree = ast.parse(NO_SYNTAX.sub("_", text), mode="eval").body
        ends = _characters(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes = [*_by_place(tree, is_place), *_by_key(tree, is_secret)]
    return [
        (ends[node.col_offset], ends[node.end_col_offset or 0])
        for node in nodes
        if not (isinstance(node, ast.Constant) and node.value is None)
    ]


def _by_place(tree: ast.expr, is_place: Callable[[int], bool]) -> Iterator[ast.expr]:
    if isinstance(tree, (ast.Tuple, ast.List)):
        yield from (node for place, node in enumerate(tree.elts) if is_place(place))


def _by_key(tree: ast.expr, is_secret: IsSecret) -> Iterator[ast.expr]:
    """Yield the values of secret keys: in dicts, in pairs and in keyword arguments of calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = list(zip(node.keys, node.values, strict=True))
        elif isinstance(node, (ast.Tuple, ast.List)):
            pairs = _neighbours(node.elts)
        elif isinstance(node, ast.Call):
            pairs = [(ast.Constant(one.arg), one.value) for one in node.keywords]
        else:
            continue
        yield from (
            value for key, value in pairs if isinstance(key, ast.Constant) and is_secret(key.value)
        )


def _neighbours(nodes: Sequence[ast.expr]) -> list[tuple[ast.expr | None, ast.expr]]:
    """Return the elements of a pair; of a longer list, each command-line option and its value."""
    return [
        (key, value)
        for key, value in pairwise(nodes)
        if len(nodes) == PAIR or (isinstance(key, ast.Constant) and is_option(key.value))
    ]


def is_option(value: object) -> bool:
    """Return whether a value is a command-line option, which the next element may belong to."""
    return isinstance(value, str) and value.startswith("--")


def _characters(text: str) -> list[int]:
    """Return, for each byte of the text in UTF-8, the index of its character."""
    numbers = [number for number, one in enumerate(text) for _ in one.encode()]
    return [*numbers, len(text)]
