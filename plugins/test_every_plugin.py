"""Rules for each first-party plugin: its packaging, discovery, name and documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import importlib_metadata
import pytest

from django_celery_results.options import PluginOptions
from django_celery_results.testing import plugin_infos
from tests.advertised import distributions_of
from tests.shown import settings_blocks, try_settings

FOLDER = Path(__file__).resolve().parent
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/pyproject.toml"))

each_plugin = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def _all_active(configure: object) -> None:
    """Activates every plugin: these tests do not belong to one of them."""
    assert callable(configure)
    configure(*NAMES)


def distribution(name: str) -> Any:
    """Return the plugin's installed distribution."""
    return importlib_metadata.Distribution.from_name(f"django-celery-results-{name}")


@each_plugin
def test_plugin_is_found_by_its_entry_point(name: str) -> None:
    """It loads under its own name, from its own distribution."""
    (info,) = [one for one in plugin_infos() if one.name == name]
    assert ("active", "", f"django-celery-results-{name}") == (
        info.status,
        info.reason,
        info.distribution,
    )


@each_plugin
def test_installed_files_are_those_of_the_folder(name: str) -> None:
    """The wheel has the whole package, but no tests or other top-level modules."""
    package = f"django_celery_results_{name}"
    sources = {
        str(path.relative_to(FOLDER / name))
        for path in (FOLDER / name / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    files = {str(path) for path in distribution(name).files or () if path.suffix != ".pyc"}
    assert (set(), {package}) == (
        sources - files,
        {file.split("/")[0] for file in files if ".dist-info/" not in file},
    )


@each_plugin
def test_metadata_has_the_licence_and_requirements(name: str) -> None:
    """The package index shows them."""
    metadata = distribution(name).metadata
    requires = distribution(name).requires or []
    assert ["BSD-3-Clause", ">=3.10"] == [
        metadata["License-Expression"],
        metadata["Requires-Python"],
    ]
    assert "django-celery-results>=3.0.0.dev0" in requires


@each_plugin
def test_changelog_begins_with_the_installed_version(name: str) -> None:
    """The newest version comes first."""
    text = (FOLDER / name / "CHANGELOG.md").read_text(encoding="utf-8")
    found = re.search(r"^## (\S+)", text, re.MULTILINE)
    assert found is not None
    assert distribution(name).version == found[1]


@each_plugin
def test_readme_says_how_to_switch_it_on_and_off(name: str) -> None:
    """It names the distribution to install and the setting that disables the plugin."""
    text = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    wanted = [f"pip install django-celery-results-{name}", "DISABLED_PLUGINS"]
    assert [] == [words for words in wanted if words not in text]


@each_plugin
def test_projects_readme_names_it(name: str) -> None:
    """The link leads to the plugin's page."""
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert f"[`{name}`](docs/plugins/{name}.md)" in text


@pytest.mark.parametrize("page", ["plugins/{}/README.md", "docs/plugins/{}.md"])
@each_plugin
def test_every_setting_is_described(name: str, page: str) -> None:
    """In the README and in the documentation."""
    assert name in [one.name for one in plugin_infos()], "its options are not imported"
    text = (FOLDER.parent / page.format(name)).read_text(encoding="utf-8")
    keys = [
        key
        for kind in PluginOptions.__subclasses__()
        if kind.__module__.startswith(f"django_celery_results_{name}.")
        for key in kind().declared()
    ]
    assert [] == [key for key in keys if f"`{key}`" not in text]


@each_plugin
def test_core_says_where_to_get_what_reads_its_rows(name: str) -> None:
    """If it is not installed, only the core can name it."""
    stored = distributions_of(name)
    assert stored == dict.fromkeys(stored, f"django-celery-results-{name}")


#: Plugins that the block does not name are off, because some need settings.
OTHERS_OFF = """
DJANGO_CELERY_RESULTS = globals().get("DJANGO_CELERY_RESULTS", {{}})
DJANGO_CELERY_RESULTS.setdefault("DISABLED_PLUGINS", {others!r})
"""


@pytest.mark.parametrize(
    "block",
    settings_blocks(FOLDER.parent / f"docs/plugins/{page}.md" for page in (*NAMES, "combining")),
)
def test_documented_settings_work(block: str, tmp_path: Path) -> None:
    """A site with them passes its checks and opens its result backend."""
    others = [name for name in NAMES if f'"{name}' not in block]
    try_settings(block + OTHERS_OFF.format(others=others), tmp_path)
