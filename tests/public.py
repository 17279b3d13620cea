"""Reads which names of the package a source file uses, and which of them are not public.

``docs/reference/public.md`` lists the public names, by module.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from importlib.util import resolve_name

from tests.pages import DOCS

__all__ = ["PACKAGE", "PAGE", "names_of_page", "private_uses"]

PACKAGE = "django_celery_results"
PAGE = DOCS / "reference" / "public.md"
#: The suites may import each other.
KIT = f"{PACKAGE}.testing"
#: Underscore names of other libraries. All but one are documented.
OTHERS = frozenset(
    {
        "_default_manager",  # Django's documentation of managers
        "_exit",  # Python's documentation of os
        "_labelnames",  # not documented: prometheus_client's, read by the tests of its plugin
        "_make",  # Python's documentation of named tuples
        "_meta",  # Django's documentation of models
        "_save",  # Django's documentation of storages
    }
)


def names_of_page(text: str) -> dict[str, list[str]]:
    """Return the names that each table of the page lists, by the module in its heading."""
    _, *parts = re.split(r"^## `([\w.]+)`$", text, flags=re.MULTILINE)
    sections = zip(parts[::2], parts[1::2], strict=True)
    return {
        module: re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) for module, section in sections
    }


def private_uses(
    source: str, public: Mapping[str, Collection[str]], package: str = ""
) -> list[str]:
    """Return what ``source`` uses of the package that is not in ``public``, with its line.

    ``package`` resolves relative imports: it is the package that the source belongs to.
    Programs in strings, which tests run in another process, are read too.
    """
    tree = ast.parse(source)
    own = set(_own_modules(tree))
    return [
        f"{node.lineno}: {use}"
        for node in ast.walk(tree)
        if isinstance(node, (ast.expr, ast.stmt))
        for use in _uses(node, public, package, own)
    ]


def _uses(
    node: ast.expr | ast.stmt,
    public: Mapping[str, Collection[str]],
    package: str,
    own: Collection[str],
) -> Iterator[str]:
    if isinstance(node, ast.Import):
        modules = [one.name for one in node.names if _is_in(one.name, PACKAGE)]
        yield from (f"import {one}" for one in modules if one not in public)
    elif isinstance(node, ast.ImportFrom):
        module = _module(node, package)
        if _is_in(module, PACKAGE) and not (_is_in(module, KIT) and _is_in(package, KIT)):
            yield from _not_public(module, [one.name for one in node.names], public)
    elif isinstance(node, ast.Attribute):
        if _is_underscored(node.attr) and not _is_own(node.value, own):
            yield ast.unparse(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _uses_of_program(node.value, public)


def _module(node: ast.ImportFrom, package: str) -> str:
    if node.level and not package:
        # A relative import of a plugin is of its own modules.
        return ""
    return resolve_name("." * node.level + (node.module or ""), package)


def _is_in(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _not_public(
    module: str, names: list[str], public: Mapping[str, Collection[str]]
) -> Iterator[str]:
    for name in names:
        if name not in public.get(module, ()) and f"{module}.{name}" not in public:
            yield f"from {module} import {name}"


def _is_underscored(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in OTHERS


def _is_own(value: ast.expr, own: Collection[str]) -> bool:
    """Return whether an underscore name of ``value`` is the reader's own."""
    return isinstance(value, ast.Name) and value.id in {"self", "cls", *own}


def _own_modules(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported from a plugin's own modules, in which its tests may look inside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (
            node.level == 1 or (node.module or "").startswith(f"{PACKAGE}_")
        ):
            yield from (one.asname or one.name for one in node.names)


def _uses_of_program(text: str, public: Mapping[str, Collection[str]]) -> list[str]:
    if not re.search(rf"^\s*(?:from|import) {PACKAGE}\b", text, re.MULTILINE):
        return []
    try:
        return private_uses(text, public)
    except SyntaxError:
        return []
