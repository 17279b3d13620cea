"""Plugins broken in every possible way: each is reported, and all of them together.

The distributions are real: each has a .dist-info directory on the path of the site, and the
module that its entry point names. The same modules also fail when the settings list them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.site import Site

pytestmark = pytest.mark.alike


class Broken(NamedTuple):
    """A distribution with its entry point and its module, and why it is refused."""

    distribution: str
    name: str
    reason: str
    source: str
    attribute: str = ""
    #: Whether it fails from the settings too: there, a module alone decides its name.
    in_settings: bool = True

    @property
    def module(self) -> str:
        """The name of its module."""
        return self.distribution.replace("-", "_")

    @property
    def reference(self) -> str:
        """The reference of its entry point."""
        return f"{self.module}:{self.attribute}" if self.attribute else self.module


HOOK = """\
from django_celery_results import hookimpl

@hookimpl
def before_store(task):
    pass
"""

BROKEN = [
    Broken(
        "acme-import",
        "import",
        r"ModuleNotFoundError: No module named 'a_library_that_is_absent'",
        "import a_library_that_is_absent",
    ),
    Broken(
        "acme-syntax",
        "syntax",
        r"SyntaxError: .*acme_syntax\.py, line 1",
        "def broken(:",
    ),
    Broken(
        "acme-attribute",
        "attribute",
        r"AttributeError: module 'acme_attribute' has no attribute 'plugin'",
        HOOK,
        "plugin",
    ),
    Broken(
        "acme-misspelt",
        "misspelt",
        r"there is no hook 'befor_store'; did you mean 'before_store'\?",
        HOOK.replace("before_store", "befor_store"),
    ),
    Broken(
        "acme-signature",
        "signature",
        r"before_store takes 'tsak', which the hook does not pass; its arguments are: task",
        HOOK.replace("(task)", "(tsak)"),
    ),
    Broken(
        "acme-twin-a",
        "twin",
        r"the name belongs to several plugins: 'twin' \(acme-twin-a 1\.0, acme_twin_a\) "
        r"and 'twin' \(acme-twin-b 1\.0, acme_twin_b\)",
        HOOK,
        in_settings=False,
    ),
    Broken(
        "acme-twin-b",
        "twin",
        r"the name belongs to several plugins: 'twin' \(acme-twin-a 1\.0, acme_twin_a\) "
        r"and 'twin' \(acme-twin-b 1\.0, acme_twin_b\)",
        HOOK,
        in_settings=False,
    ),
    Broken(
        "acme-usurper",
        "django-db",
        r"the name belongs to several plugins: 'django-db' \(acme-usurper 1\.0, acme_usurper\) "
        r"and 'django-db' \(django-celery-results .*\)",
        f"django_celery_results_name = 'django-db'\n{HOOK}",
        in_settings=False,
    ),
    Broken(
        "acme-class",
        "class",
        r"acme_class:Plugin is a class; make the entry point name an instance of it "
        r"\(such as plugin = Plugin\(\)\) or a module",
        "class Plugin:\n    pass\n",
        "Plugin",
        in_settings=False,
    ),
    Broken(
        "acme-version",
        "version",
        r"it was written for version 99 of the hooks and this is version 1; install a release of "
        r"it that supports this version",
        f"django_celery_results_api = 99\n{HOOK}",
    ),
    Broken(
        "acme-empty",
        "empty",
        r"it implements no hook; mark its functions with django_celery_results\.hookimpl",
        "def before_store(task):\n    pass\n",
    ),
    Broken(
        "acme-async",
        "async",
        r"before_store is an async function, which hooks do not await; define it with `def`",
        HOOK.replace("def ", "async def "),
    ),
    Broken(
        "acme-exit",
        "exit",
        r"SystemExit: enough",
        "raise SystemExit('enough')",
    ),
    Broken(
        "acme-storage",
        "storage",
        r"it implements store_task like a storage but not open_storage, load_tasks, forget_task; "
        r"to change another storage use hookimpl\(wrapper=True\)",
        HOOK.replace("before_store", "store_task"),
    ),
    Broken(
        "acme-contribution",
        "contribution",
        r"contribute_codings returned 'gzip'; it has to return instances of "
        r"django_celery_results\.records\.Coding",
        HOOK.replace("before_store(task)", "contribute_codings()").replace(
            "pass", "return ['gzip']"
        ),
    ),
    Broken(
        "acme-raising",
        "raising",
        r"contribute_serializers raised RuntimeError: not today",
        HOOK.replace("before_store(task)", "contribute_serializers()").replace(
            "pass", "raise RuntimeError('not today')"
        ),
    ),
    *(
        Broken(
            f"acme-{taken}",
            taken,
            reason,
            f"""\
from django_celery_results import hookimpl
from django_celery_results.records import Serializer

@hookimpl
def contribute_serializers():
    return [Serializer(name={name!r}, content_type={content_type!r}, encode=repr, decode=eval)]
""",
        )
        for taken, name, content_type, reason in [
            ("taken-name", "json", "text/x-new", r"serializer 'json' exists already, from Kombu"),
            (
                "taken-type",
                "new",
                "application/json",
                (
                    r"serializer 'new': the content type 'application/json' belongs to serializer "
                    r"'json', from Kombu"
                ),
            ),
        ]
    ),
]
#: Sound plugins: one that works, and a disabled one that must not be imported.
SOUND = [
    Broken("acme-sound", "sound", "", HOOK),
    Broken("acme-blocked", "blocked", "", "raise SystemExit('this was not to be imported')"),
]

LENIENT = "DJANGO_CELERY_RESULTS['STRICT_PLUGINS'] = False"

#: Prints the errors of a first use, and the facts about each plugin.
LOOK = """
import json, django
django.setup()
from celery import Celery
from django_celery_results.exceptions import ResultsError
from django_celery_results.registry.loading import get_plugin_manager, load_plugins

def error_of(function):
    try:
        function()
    except ResultsError as error:
        return f"{type(error).__name__}: {error}"

def backend(url):
    return lambda: Celery(broker="memory://", backend=url, set_as_current=False).backend

print(json.dumps({
    "manager": error_of(get_plugin_manager),
    "backend": error_of(backend("django-db")),
    "selected": error_of(backend("django-results+storage://")),
    "infos": [
        [info.name, info.distribution, info.version, info.reference, info.status, info.reason]
        for info in load_plugins().infos
    ],
}))
"""


def install(directory: Path, one: Broken) -> None:
    """Write the distribution's metadata and module to ``directory``."""
    metadata = directory / f"{one.module}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {one.distribution}\nVersion: 1.0\n"
    )
    (metadata / "entry_points.txt").write_text(
        f"[django_celery_results]\n{one.name} = {one.reference}\n"
    )


class Looked(NamedTuple):
    """A site with broken plugins, and the output of its first use."""

    site: Site
    options: str
    seen: dict[str, Any]
    broken: list[tuple[str, str, Broken]]

    def told(self, text: str) -> list[str]:
        """The plugins whose name, origin and reason are in ``text``."""
        return [
            one.module
            for name, source, one in self.broken
            if re.search(
                rf"{re.escape(f'{name!r} ({source}, {one.reference})')}.*{one.reason}", text
            )
        ]

    @property
    def all(self) -> list[str]:
        """All broken plugins."""
        return [one.module for _, _, one in self.broken]


@pytest.fixture(scope="module", params=["entry points", "settings"])
def looked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    """A site on which everything is broken."""
    directory = tmp_path_factory.mktemp("broken")
    name = str(directory / "db.sqlite3")
    site = Site(directory, {"ENGINE": "django.db.backends.sqlite3", "NAME": name})
    for one in [*BROKEN, *SOUND]:
        (directory / f"{one.module}.py").write_text(one.source)
        if request.param == "entry points":
            install(directory, one)
    if request.param == "entry points":
        options = "DJANGO_CELERY_RESULTS = {'DISABLED_PLUGINS': ['blocked']}"
        broken = [(one.name, f"{one.distribution} 1.0", one) for one in BROKEN]
    else:
        listed = [one.reference for one in [*BROKEN, *SOUND] if one.in_settings]
        options = (
            f"DJANGO_CELERY_RESULTS = {{'DISABLED_PLUGINS': ['acme_blocked'], 'PLUGINS': {listed}}}"
        )
        broken = [(one.reference, "settings", one) for one in BROKEN if one.in_settings]
    site.configure(options)
    return Looked(site, options, json.loads(site.checked("-c", LOOK).splitlines()[-1]), broken)


@pytest.mark.parametrize("one", BROKEN, ids=[one.distribution for one in BROKEN])
def test_plugin_is_described_with_what_is_wrong(looked: Looked, one: Broken) -> None:
    """The facts include name, distribution, version, place and cause."""
    expected = {
        (name, *(source.split() if source != "settings" else ("", "")), each.reference, "failed")
        for name, source, each in looked.broken
        if each is one
    }
    infos = looked.seen["infos"]
    found = {(*facts,): reason for *facts, reason in infos if facts[3] == one.reference}
    assert expected == set(found)
    assert all(re.match(one.reason, reason) for reason in found.values())


def test_all_failures_are_in_one_error(looked: Looked) -> None:
    """One run shows every broken plugin, so that they can be fixed together."""
    assert looked.seen["manager"].startswith("PluginError: ")
    assert looked.all == looked.told(looked.seen["manager"])


def test_backend_cannot_be_made(looked: Looked) -> None:
    """A backend whose own storage works is refused too: one of its site's plugins is missing."""
    assert looked.seen["manager"] == looked.seen["backend"]


def test_all_failures_are_found_by_the_check(looked: Looked) -> None:
    """``manage.py check`` fails with one error for each plugin."""
    looked.site.configure(looked.options)
    done = looked.site.run("-m", "django", "check")
    assert (1, looked.all) == (done.returncode, looked.told(done.stderr))
    assert len(looked.broken) == done.stderr.count("(django_celery_results.E010)")


def test_sound_plugin_is_none_of_them(looked: Looked) -> None:
    """The sound plugin is loaded."""
    statuses = {reference: status for _, _, _, reference, status, _ in looked.seen["infos"]}
    assert "active" == statuses["acme_sound"]


def test_disabled_plugin_is_none_of_them(looked: Looked) -> None:
    """The disabled plugin is not even imported: its module would end the process."""
    statuses = {reference: status for _, _, _, reference, status, _ in looked.seen["infos"]}
    assert "disabled" == statuses["acme_blocked"]


def test_built_in_plugin_keeps_its_name(looked: Looked) -> None:
    """A distribution that uses the same name cannot replace it."""
    found = [info[4] for info in looked.seen["infos"] if info[:2] == ["django-db", BUILT_IN]]
    assert ["active"] == found


BUILT_IN = "django-celery-results"


class Lenient(NamedTuple):
    """The same site with ``STRICT_PLUGINS`` off."""

    seen: dict[str, Any]
    logged: str
    looked: Looked


@pytest.fixture(scope="module")
def lenient(looked: Looked) -> Lenient:
    """The output and the log of the site with ``STRICT_PLUGINS`` off."""
    looked.site.configure(f"{looked.options}\n{LENIENT}")
    done = looked.site.run("-c", LOOK)
    assert done.returncode == 0, done.stderr
    return Lenient(json.loads(done.stdout.splitlines()[-1]), done.stderr, looked)


def test_lenient_site_works(lenient: Lenient) -> None:
    """The backend works without the broken plugins."""
    assert (None, None) == (lenient.seen["manager"], lenient.seen["backend"])


def test_lenient_site_logs_every_failure(lenient: Lenient) -> None:
    """Without ``STRICT_PLUGINS``, the log is the only place that reports the failures."""
    assert lenient.looked.all == lenient.looked.told(lenient.logged)


def test_lenient_site_still_refuses_a_selected_storage_that_failed(lenient: Lenient) -> None:
    """From the settings, any plugin that failed to import may be the selected storage."""
    assert "it implements store_task like a storage but not" in lenient.seen["selected"]
