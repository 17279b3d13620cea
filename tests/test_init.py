"""The package itself: its version, and what importing it loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pluggy
import pytest

import django_celery_results
from django_celery_results import backends

pytestmark = pytest.mark.alike

PACKAGE = Path(django_celery_results.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

LOOK = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def modules_after(statement: str) -> set[str]:
    """The modules that are loaded in a new process after ``statement``."""
    command = [sys.executable, "-c", f"{statement}\n{LOOK}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return set(json.loads(done.stdout))


def tree(module: str) -> ast.Module:
    """The syntax tree of one module of the package."""
    return ast.parse((PACKAGE / module).read_text())


def test_version_info_has_the_parts_of_the_version() -> None:
    """Their names are those of 2.6."""
    version = django_celery_results.VERSION
    text = f"{version.major}.{version.minor}.{version.micro}"
    assert f"{text}.{version.releaselevel}" == django_celery_results.__version__


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3.1.4", (3, 1, 4, "", "")), ("3.0.0.dev0", (3, 0, 0, "dev0", ""))],
)
def test_version_is_parsed(text: str, expected: tuple[object, ...]) -> None:
    """This covers releases and development versions."""
    assert expected == django_celery_results._parse_version(text)


def test_version_info_has_both_names() -> None:
    """2.6 has ``VERSION``, and Celery has ``version_info``."""
    assert django_celery_results.version_info is django_celery_results.VERSION


def test_hookimpl_marks_for_this_project() -> None:
    """The marker has the same project name as the plugin manager."""
    expected = pluggy.HookimplMarker("django_celery_results").project_name
    assert expected == django_celery_results.hookimpl.project_name


@pytest.mark.parametrize("unwanted", ["celery", "kombu", "django", "importlib_metadata"])
def test_importing_the_package_imports_nothing_heavy(unwanted: str) -> None:
    """A plugin can import ``hookimpl`` anywhere, even before a site is set up."""
    assert unwanted not in modules_after("from django_celery_results import hookimpl")


@pytest.mark.parametrize("unwanted", ["django", "kombu", "celery.app.base"])
def test_importing_the_contract_needs_no_django(unwanted: str) -> None:
    """A plugin's tests can use the specifications and the records without a site."""
    statement = "import django_celery_results.hookspecs, django_celery_results.records"
    assert unwanted not in modules_after(statement)


@pytest.mark.parametrize("unwanted", ["django.db.models", "celery.backends.base"])
def test_importing_the_backends_imports_none_of_them(unwanted: str) -> None:
    """Each backend is imported when it is first used."""
    assert unwanted not in modules_after("import django_celery_results.backends")


def test_asking_for_one_backend_leaves_the_other_alone() -> None:
    """A site that uses the cache does not load the database backend."""
    modules = modules_after("from django_celery_results.backends import CacheBackend")
    assert "django_celery_results.backends.database" not in modules


@pytest.mark.parametrize("name", backends.__all__)
def test_backend_is_imported_when_it_is_asked_for(name: str) -> None:
    """The name can be imported from the package, as in 2.6."""
    assert name == getattr(backends, name).__name__


def test_backends_has_no_other_names() -> None:
    """A misspelt name raises the usual error."""
    with pytest.raises(AttributeError, match="has no attribute 'DatabaseBackends'"):
        _ = backends.DatabaseBackends


def test_importing_the_manager_discovers_nothing() -> None:
    """Plugins are searched for at first use."""
    modules = modules_after("import django_celery_results.registry.loading")
    assert "django_celery_results.codec.plugin" not in modules


def test_only_conf_and_options_read_the_settings() -> None:
    """Only the two modules that declare and read settings import ``django.conf``."""
    found = [
        module
        for module in MODULES
        for node in ast.walk(tree(module))
        if (isinstance(node, ast.ImportFrom) and node.module == "django.conf")
        or (
            isinstance(node, ast.Import)
            and any(a.name.startswith("django.conf") for a in node.names)
        )
    ]
    # Django writes the migrations so that they ask, for instance, for the user model.
    found = [module for module in found if not module.startswith("migrations/")]
    assert ["conf.py", "options.py"] == found


def test_pluggy_is_used_through_its_public_names() -> None:
    """Underscore attributes of managers, callers and implementations may change at any time."""
    names: tuple[str, ...] = (
        "_hookimpls",
        "_name2plugin",
        "_hookexec",
        "_plugin2hookcallers",
        "_add_hookimpl",
    )
    for kind in (pluggy.PluginManager, pluggy.HookCaller, pluggy.HookImpl):
        names += tuple(name for name in dir(kind) if name.startswith("_") and name[1] != "_")
    used = {
        (module, node.attr)
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr in names
    }
    assert set() == used


def test_no_module_subclasses_the_plugin_manager() -> None:
    """The package uses a manager instead of inheriting from it."""
    bases = {
        ast.unparse(base)
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
    }
    assert set() == {base for base in bases if "PluginManager" in base}
