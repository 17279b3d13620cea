"""The page of public names agrees with ``__all__``; plugins and suites use no other names."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.pages import ROOT
from tests.public import PACKAGE, PAGE, names_of_page, private_uses

PUBLIC = names_of_page(PAGE.read_text(encoding="utf-8"))
KIT = ROOT / PACKAGE / "testing"
#: Plugins, examples and the conformance suites.
READERS = sorted(
    path
    for folder in ("plugins", "examples", "docs/examples")
    for path in (ROOT / folder).rglob("*.py")
    if "build" not in path.parts
)
TEMPLATES = sorted((ROOT / PACKAGE / "plugin_templates").rglob("*.py.tmpl"))
#: The suites reach the registry through this module, which holds no tests.
MACHINERY = "registering.py"
SUITES = sorted(path for path in KIT.glob("*.py") if path.name != MACHINERY)


def test_page_has_a_table_for_each_module() -> None:
    """The other tests do not see a table under a heading of another form."""
    headings = PAGE.read_text(encoding="utf-8").count("\n## ")
    assert (headings, []) == (len(PUBLIC), [one for one, names in PUBLIC.items() if not names])


@pytest.mark.parametrize("module", PUBLIC)
def test_page_lists_what_the_module_exports(module: str) -> None:
    """The names in its table are those of ``__all__``."""
    assert sorted(import_module(module).__all__) == sorted(PUBLIC[module])


@pytest.mark.parametrize("path", READERS, ids=lambda one: str(one.relative_to(ROOT)))
def test_plugins_and_examples_use_public_names_only(path: Path) -> None:
    """First-party plugins have no names that another author's plugin lacks."""
    assert [] == private_uses(path.read_text(encoding="utf-8"), PUBLIC)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda one: str(one.relative_to(ROOT)))
def test_templates_of_plugins_use_public_names_only(path: Path) -> None:
    """A new plugin starts with imports that stay."""
    source = re.sub(r"\$\{?\w+\}?", "x", path.read_text(encoding="utf-8"))
    assert [] == private_uses(source, PUBLIC)


@pytest.mark.parametrize("path", SUITES, ids=lambda one: one.name)
def test_suites_use_public_names_only(path: Path) -> None:
    """An author can look up every name that a suite uses."""
    source = path.read_text(encoding="utf-8")
    assert [] == private_uses(source, PUBLIC, f"{PACKAGE}.testing")


def test_there_are_sources_to_read() -> None:
    """The tests above pass for an empty list too."""
    folders = {path.relative_to(ROOT).parts[0] for path in READERS}
    assert ({"plugins", "examples", "docs"}, True) == (folders, bool(SUITES and TEMPLATES))


@pytest.mark.parametrize(
    ("source", "package", "expected"),
    [
        ("from django_celery_results import hookimpl", "", []),
        ("from django_celery_results import views", "", []),
        ("import django_celery_results.models", "", []),
        ("from django_celery_results_labels.models import Label", "", []),
        ("from django.db.models import Q", "", []),
        ("from .masking import Mask", "", []),
        ("self._mine, cls._ours, row._meta, one.__name__", "", []),
        ("from .recording import HookCall", "django_celery_results.testing", []),
        ("from ..records import Coding", "django_celery_results.testing", []),
        (
            "from django_celery_results.records import Coding, once",
            "",
            ["1: from django_celery_results.records import once"],
        ),
        (
            "from django_celery_results import registry",
            "",
            ["1: from django_celery_results import registry"],
        ),
        (
            "from django_celery_results.storages.cache.plugin import CacheStorage",
            "",
            ["1: from django_celery_results.storages.cache.plugin import CacheStorage"],
        ),
        (
            "from django_celery_results.testing.suites import PluginConformance",
            "",
            ["1: from django_celery_results.testing.suites import PluginConformance"],
        ),
        (
            "def f():\n    import django_celery_results.sql.clock",
            "",
            ["2: import django_celery_results.sql.clock"],
        ),
        (
            "from ..registry.loading import load_plugins",
            "django_celery_results.testing",
            ["1: from django_celery_results.registry.loading import load_plugins"],
        ),
        ("backend._forget('t1')", "", ["1: backend._forget"]),
        (
            "from django_celery_results import models\nmodels._hidden",
            "",
            ["2: models._hidden"],
        ),
        ("from django_celery_results_labels import text\ntext._hidden", "", []),
        (
            "RUN = '''\nfrom django_celery_results.sql import clock\n'''",
            "",
            ["1: 2: from django_celery_results.sql import clock"],
        ),
        ("DOC = 'from django_celery_results come names'", "", []),
    ],
)
def test_private_use_is_found(source: str, package: str, expected: list[str]) -> None:
    """Imports at any depth, modules, attributes, and programs in strings."""
    assert expected == private_uses(source, PUBLIC, package)
