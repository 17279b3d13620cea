"""The documentation is correct: its lists are complete and its examples run."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands

from django_celery_results import checks, conf, hookspecs, models
from django_celery_results.conf import Setting, results_settings
from django_celery_results.migrations import _history as migration_history
from django_celery_results.registry.loading import hook_names
from django_celery_results.storages.cache import plugin as cache_plugin
from django_celery_results.urls import noun_first_patterns
from tests.integration.catalogue.differences import DIFFERENCES, PENDING, UNSETTLED
from tests.pages import DOCS, PAGES, ROOT
from tests.shown import environment, run, settings_blocks, try_settings

EXAMPLES = DOCS / "examples"
#: The tests of the plugins' pages are in the plugins' folders.
OWN_PAGES = [page for page in PAGES if page.parent != DOCS / "plugins"]
WORKER_STARTS_WITHIN = 60  # seconds


def text_of(page: str) -> str:
    """The text of a page or an example."""
    return (DOCS / page).read_text(encoding="utf-8")


# -- The reference is complete -------------------------------------------------------


def banners_and_hooks(source: str) -> list[str]:
    """The titles of the sections of hookspecs.py and the names of its hooks, in order."""
    found = re.finditer(r"^# =+\n# (.+)\n# =+$|^def (\w+)\(", source, re.MULTILINE)
    return [match[1] or match[2] for match in found]


@pytest.mark.parametrize("name", hook_names())
def test_each_hook_has_a_heading_and_its_exact_signature(name: str) -> None:
    """A new hook, or a changed signature, cannot be missing from the reference."""
    signature = inspect.signature(getattr(hookspecs, name))
    heading = f"``{name}({', '.join(signature.parameters)})``"
    exact = str(signature).replace("'", "")

    expected = (
        f"{heading}\n{'-' * len(heading)}\n\n"
        f".. autofunction:: django_celery_results.hookspecs.{name}{exact}\n"
    )
    assert expected in text_of("reference/hooks.rst")


def test_hooks_stand_in_the_order_of_the_contract() -> None:
    """The reference has exactly the sections of hookspecs.py, each with its hooks."""
    source = Path(inspect.getfile(hookspecs)).read_text(encoding="utf-8")
    page = text_of("reference/hooks.rst")
    headings = re.findall(r"^(?:``(\w+)\(.*\)``\n-+|(.+)\n=+)$", page, re.MULTILINE)

    assert banners_and_hooks(source) == [hook or banner for hook, banner in headings]


def sections(page: str) -> dict[str, str]:
    """The text under each heading of the settings reference, by the setting in the heading."""
    parts = re.split(r"^#{2,3} `(\w+)`$", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


KEYS = results_settings.declared(top_level=False)
TOP_LEVEL = results_settings.declared(top_level=True)


def as_written(default: object) -> str:
    """The default of a setting, as a site would write it in Python."""
    if isinstance(default, timedelta):
        units = ("days", "hours", "minutes", "seconds")
        unit = next(one for one in units if not default % timedelta(**{one: 1}))
        return f"timedelta({unit}={default // timedelta(**{unit: 1})})"
    return repr(list(default) if isinstance(default, tuple) else default)


def row_of_reference(setting: Setting[Any]) -> str:
    """The row of a setting in the tables of the settings reference."""
    key = setting.key
    return (
        f"| [`{key}`](#{key.lower()}) | `{as_written(setting.written_default)}` "
        f"| {setting.wanted} | `django_celery_results.{setting.check}` | {setting.doc} |"
    )


def row_of_readme(setting: Setting[Any]) -> str:
    """The row of a setting in the tables of the README."""
    return f"| `{setting.key}` | `{as_written(setting.written_default)}` | {setting.doc} |"


@pytest.mark.parametrize("declared", [TOP_LEVEL, KEYS], ids=["top level", "keys"])
def test_reference_has_the_table_that_follows_from_the_declarations(
    declared: dict[str, Setting[Any]],
) -> None:
    """Key, default, kind of value, check and meaning of each setting, in order of declaration."""
    table = "\n".join(
        [
            "| setting | default | has to be | check | meaning |",
            "| --- | --- | --- | --- | --- |",
            *map(row_of_reference, declared.values()),
        ]
    )
    assert f"\n\n{table}\n\n" in text_of("reference/settings.md")


def test_each_setting_has_a_heading() -> None:
    """Keys of DJANGO_CELERY_RESULTS are on the second level, other settings on the one above."""
    headings = re.findall(r"^### `(\w+)`$", text_of("reference/settings.md"), re.MULTILINE)

    assert sorted(KEYS) == sorted(headings)


@pytest.mark.parametrize("setting", [*TOP_LEVEL.values(), *KEYS.values()], ids=lambda one: one.key)
def test_each_setting_says_what_it_is_and_what_checks_it(setting: Setting[Any]) -> None:
    """They are the type, the default, and the id of the check that reports a wrong value."""
    section = sections(text_of("reference/settings.md"))[setting.key]

    wanted = [
        "Type\n: ",
        f"Default\n: `{as_written(setting.written_default)}`\n",
        f"`django_celery_results.{setting.check}`",
    ]
    assert [] == [text for text in wanted if text not in section]


@pytest.mark.parametrize("declared", [TOP_LEVEL, KEYS], ids=["top level", "keys"])
def test_readme_has_the_rows_that_follow_from_the_declarations(
    declared: dict[str, Setting[Any]],
) -> None:
    """Key, default and meaning of each setting, in order of declaration."""
    rows = "\n".join(map(row_of_readme, declared.values()))
    assert f"\n{rows}\n\n" in (ROOT / "README.md").read_text(encoding="utf-8")


#: The modules that have the ids of system checks in their source.
CHECKING = (checks, conf, migration_history, cache_plugin)


def test_each_check_is_listed() -> None:
    """The ids in the code and in the table are the same."""
    sources = [Path(inspect.getfile(one)).read_text() for one in CHECKING]
    # W010 is E010 with STRICT_PLUGINS off; the code builds its id.
    used = {"E010", "W010", *re.findall(r"\b([EW]\d{3})\b", "".join(sources))}
    listed = re.findall(
        r"^\| `django_celery_results\.(\w+)`", text_of("reference/settings.md"), re.MULTILINE
    )

    assert sorted(used) == sorted(listed)


@pytest.mark.parametrize("name", ["TaskResult", "GroupResult", "ChordCounter", "ChordPart"])
def test_each_field_of_the_models_is_listed(name: str) -> None:
    """The name and type of every column are listed in order."""
    page = text_of("reference/models.rst")
    section = re.split(r"^=+$", page.partition(f"\n``{name}``\n")[2], flags=re.MULTILINE)[1]

    fields = [(one.name, type(one).__name__) for one in getattr(models, name)._meta.fields]
    assert fields == re.findall(r"^``(\w+)`` +(\w+) ", section, re.MULTILINE)


def test_each_endpoint_is_listed() -> None:
    """The page has the path and name of each of the package's URLs."""
    listed = re.findall(
        r"^\| `([\w/]+)<id>/` \| `([\w-]+)`", text_of("reference/urls.md"), re.MULTILINE
    )

    found = [(str(one.pattern).partition("<")[0], one.name) for one in noun_first_patterns()]
    assert found == listed


def test_each_difference_of_a_canvas_is_listed() -> None:
    """The rows of both tables are those of the catalogue, which the integration tests verify."""
    rows = re.findall(
        r"^\| (.+) \| (.+) \| (.+) \| (.+) \|$", text_of("reference/canvases.md"), re.MULTILINE
    )

    expected = [(one.canvas, one.redis, one.here, one.reason) for one in (*DIFFERENCES, *UNSETTLED)]
    assert expected == [row for row in rows if row[0] not in {"Canvas", "---"}]


def test_each_canvas_that_stays_pending_is_listed() -> None:
    """The rows of the third table are those of the catalogue."""
    section = text_of("reference/canvases.md").partition("| Canvas | Reason |\n| --- | --- |\n")[2]

    assert list(PENDING.items()) == re.findall(r"^\| (.+) \| (.+) \|$", section, re.MULTILINE)


def test_each_module_on_the_page_about_travel_exists() -> None:
    """The page tells in which module each step is, so a module that moves has to move there too."""
    named = set(re.findall(r"\b\w+(?:/\w+)+\.py\b", text_of("explanation/travel.md")))

    package = ROOT / "django_celery_results"
    assert named == {name for name in named if (package / name).is_file()}
    assert {"backends/base.py", "storages/cache/plugin.py"} <= named


def test_each_command_exists() -> None:
    """Every `manage.py` command on the pages belongs to Django or this package."""
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"manage\.py ([a-z_]+)", pages))

    # Django lists startproject, and the command of staticfiles, as well.
    assert set() == named - set(get_commands())


# -- Settings that are shown ---------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("block", settings_blocks(OWN_PAGES))
def test_settings_that_are_shown_work(block: str, tmp_path: Path) -> None:
    """A site with these settings passes its checks and opens its result backend."""
    try_settings(block, tmp_path, EXAMPLES)


# -- The tutorial --------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of the tutorial's site, migrated, with its worker running."""
    directory = tmp_path_factory.mktemp("tutorial")
    start = [sys.executable, "-m", "django", "startproject", "mysite", str(directory)]
    subprocess.run(start, check=True, cwd=directory, env=environment("mysite.settings"))
    for name in ("__init__.py", "celery.py", "tasks.py", "urls.py", "staff_urls.py"):
        (directory / "mysite" / name).write_text(text_of(f"examples/mysite/{name}"), "utf-8")
    with (directory / "mysite" / "settings.py").open("a", encoding="utf-8") as settings:
        settings.write(text_of("examples/mysite/settings_end.py"))
    manage(directory, "migrate", "--verbosity=0")
    with worker(directory):
        yield directory


def manage(directory: Path, *arguments: str) -> str:
    """The output of the site's ``manage.py`` with these arguments."""
    code = f"import sys, runpy; sys.argv = {['manage.py', *arguments]!r}; "
    code += "runpy.run_path('manage.py', run_name='__main__')"
    return run(code, directory, "mysite.settings")


@contextmanager
def worker(directory: Path) -> Iterator[None]:
    """Run the tutorial's worker, and end it."""
    log = directory / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "mysite", "worker", "--concurrency=1"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--loglevel=INFO"],
            cwd=directory,
            env=environment("mysite.settings"),
            stdout=output,
            stderr=output,
        )
    try:
        wait_until_ready(process, log)
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the worker reports that it is ready; fail with its log if it does not."""
    deadline = time.monotonic() + WORKER_STARTS_WITHIN
    while " ready." not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


DOCTEST = """
import django, doctest, sys

django.setup()
file = {file!r}
flags = doctest.ELLIPSIS
sys.exit(doctest.testfile(file, module_relative=False, optionflags=flags).failed)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["session", "reading", "cleanup"])
def test_sessions_that_are_shown_go_as_shown(site: Path, name: str) -> None:
    """Each line typed into the shell has the output on the page, with a real worker."""
    file = str(EXAMPLES / "mysite" / f"{name}.txt")

    run(DOCTEST.format(file=file), site, "mysite.settings")


@pytest.mark.slow
def test_site_passes_its_checks(site: Path) -> None:
    """The tutorial's settings and URLs cause no error and no warning of this package."""
    output = manage(site, "check")

    # The older URLs are on by default and cause a warning.
    assert "System check identified no issues (0 silenced)." in output


@pytest.mark.slow
def test_urls_for_staff_turn_others_away(site: Path) -> None:
    """A user who is not logged in is redirected to the login page and sees no result."""
    code = (
        "import django; django.setup()\n"
        "from django.conf import settings; settings.ROOT_URLCONF = 'mysite.staff_urls'\n"
        "from django.test import Client\n"
        "client = Client(headers={'host': 'localhost'})\n"
        "for path in ('/results/task/some-id/', '/results/group/some-id/'):\n"
        "    print(client.get(path).headers['Location'])"
    )

    locations = run(code, site, "mysite.settings").split()

    login = "/admin/login/?next="
    paths = ["/results/task/some-id/", "/results/group/some-id/"]
    assert [login + path for path in paths] == locations
