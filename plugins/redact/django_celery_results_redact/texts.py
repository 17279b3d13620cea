"""Secrets in text: in what is written there as ``password='…'``, and in the reprs of arguments."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

__all__ = ["Span", "is_option", "keyed_spans", "parsed_spans", "replaced"]

#: Where something stands in a text: the first character, and the one behind the last.
Span = tuple[int, int]
IsSecret = Callable[[object], bool]

#: A name, and what says that its value follows; behind an option of a command nothing has to.
KEY = re.compile(
    r"""
    (?<![\w-])(?P<option>--)?(?P<key>[\w-]+)
    (?:\\*["']?\s*(?:=>|[:=](?!=))\s* | (?(option)(?:\\*["'],\s*|\s+)(?!-)|(?!)))
    """,
    re.VERBOSE,
)
#: The value: in quotes of its own or of a text in a text, in brackets, or one word.
VALUE = re.compile(
    r"""
    [bru]{0,2}(?P<quote>["'])(?:\\.|(?!(?P=quote)).)*(?:(?P=quote)|\\?\Z)
    | \\+["'].*?(?:\\["']|\Z)
    | (?P<bracket>[\[({])
    | [^\s,;&"'<>)\]}\\]+
    """,
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
#: A value that certainly ends where it seems to.
CERTAIN = re.compile(r"""(?:'[^'\\]*'|"[^"\\]*"|[\w.+-]+)(?=\s*[,)\]}])""")
#: What counts between brackets. A quote that is escaped neither opens nor closes.
BRACKETS = re.compile(
    r"""\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?P<open>[\[({])|(?P<close>[\])}])""",
    re.DOTALL,
)
PAIR = 2
#: What says that there is no value.
NOTHING = frozenset({"None", "null"})
#: Celery escapes nothing but the single quote in a repr (``celery.utils.saferepr``): other
#: backslashes, and what no literal may have, must not be taken for syntax.
NO_SYNTAX = re.compile(r"\\(?!')|[\n\r\f\x00]")


def replaced(text: str, spans: Iterable[Span], mask: str) -> str:
    """Return ``text`` with the mask in the place of each span, in the span's own quotes."""
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
    """Yield where the values of secret keys stand.

    With ``certain`` all that follows is yielded where nobody can tell where a value ends.
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
    """Return where the brackets end that open at ``start``: with the text, if never closed."""
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
    """Return where secret values stand in a repr; ``None`` if it cannot be parsed.

    ``is_place`` says which of the outermost values are secret by their place, from 0.
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
    """Yield the values in dicts, in pairs, and of the arguments of calls."""
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
    """Return the elements of a pair, and elsewhere each option of a command and what follows."""
    return [
        (key, value)
        for key, value in pairwise(nodes)
        if len(nodes) == PAIR or (isinstance(key, ast.Constant) and is_option(key.value))
    ]


def is_option(value: object) -> bool:
    """Return whether that is how an option of a command is written, whose value follows."""
    return isinstance(value, str) and value.startswith("--")


def _characters(text: str) -> list[int]:
    """Return for each byte of the text in UTF-8 the number of its character."""
    numbers = [number for number, one in enumerate(text) for _ in one.encode()]
    return [*numbers, len(text)]
