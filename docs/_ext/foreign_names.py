"""Resolves names in signatures: links short names of this package, leaves foreign names as text.

Signatures say ``Contents``, for which Sphinx needs the full dotted path. They also name classes
of Python, Celery and Django, which this documentation does not contain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docutils.nodes import Element, Node
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PACKAGE = "django_celery_results."
FOREIGN_PACKAGES = ("celery.", "collections.", "datetime.", "django.", "kombu.", "pluggy.")
FOREIGN_NAMES = frozenset(
    {
        "Any",
        "BaseCommand",
        "Callable",
        "Celery",
        "CheckMessage",
        "CommandParser",
        "Exception",
        "ImportError",
        "Iterable",
        "Literal",
        "Mapping",
        "None",
        "Sequence",
        "ValueError",
        "django_celery_results.managers._M",
        "django_celery_results.options.T",
        "bool",
        "bytes",
        "datetime",
        "float",
        "frozenset",
        "int",
        "models.QuerySet",
        "str",
        "timedelta",
        "tuple",
    }
)


def resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element
) -> Node | None:
    """Return a link for a name of this package, or the plain text of a known foreign name."""
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    found = find(env, target)
    if found is not None:
        domain = env.get_domain("py")
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found, node, content)
    foreign = target in FOREIGN_NAMES or target.startswith(FOREIGN_PACKAGES)
    return content if foreign else None


def find(env: BuildEnvironment, name: str) -> str | None:
    """Return the full path of this package's documented object ``name``, if there is only one."""
    objects: dict[str, Any] = env.domaindata["py"]["objects"]
    last = name.rpartition(".")[2]
    # Skip aliases: a class that is documented in its package is also listed under its module.
    own = [one for one, entry in objects.items() if not entry.aliased and one.startswith(PACKAGE)]
    found = [one for one in own if one.endswith(f".{last}")]
    return found[0] if len(found) == 1 else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the handler with Sphinx."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
