"""Results of disabled plugins stay readable; the plugins' other hooks are not used."""

from __future__ import annotations

import ast
import logging
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery

from django_celery_results import hookimpl
from django_celery_results.backends import ResultBackend
from django_celery_results.checks import check_plugins
from django_celery_results.exceptions import BackendMisconfigured, ResultUnreadable
from django_celery_results.models import TaskResult
from django_celery_results.records import Coding, Serializer
from django_celery_results.registry import catalogue as distributions
from django_celery_results.registry.loading import load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

pytestmark = pytest.mark.django_db

ACCEPTED = ["json", "literal"]


def backwards(data: bytes) -> bytes:
    """Reverse the contents."""
    return data[::-1]


class Reader:
    """A plugin with a coding, a serializer, and a hook that is not called while it is disabled."""

    django_celery_results_name = "reader"

    @hookimpl
    def contribute_codings(self) -> Iterator[Coding]:
        """Contribute ``backwards``."""
        yield Coding(name="backwards", encode=backwards, decode=backwards)

    @hookimpl
    def contribute_serializers(self) -> Iterator[Serializer]:
        """Contribute ``literal``."""
        yield Serializer(
            name="literal", encode=repr, decode=ast.literal_eval, content_type="text/x-literal"
        )

    @hookimpl
    def before_store(self, task: Any) -> None:
        """Sign the task."""
        task.worker = "signed"


class Rival:
    """A plugin whose coding and serializer have the names of those of :class:`Reader`."""

    django_celery_results_name = "rival"

    @hookimpl
    def contribute_codings(self) -> Iterator[Coding]:
        """Contribute another ``backwards``."""
        yield Coding(name="backwards", encode=bytes, decode=bytes)

    @hookimpl
    def contribute_serializers(self) -> Iterator[Serializer]:
        """Contribute another ``literal``."""
        yield Serializer(name="literal", encode=repr, decode=len, content_type="text/x-literal")


class Gzip:
    """A plugin whose coding has the name of a method of Kombu but works differently."""

    django_celery_results_name = "gzipper"

    @hookimpl
    def contribute_codings(self) -> Iterator[Coding]:
        """Contribute ``gzip``."""
        yield Coding(name="gzip", encode=backwards, decode=backwards)


def backend(**conf: Any) -> ResultBackend:
    """The backend of a new app."""
    app = Celery("readers", set_as_current=False)
    conf = {"result_backend": "django-db", "result_accept_content": ACCEPTED, **conf}
    app.conf.update(conf)
    found: Any = app.backend
    assert isinstance(found, ResultBackend)
    return found


@pytest.fixture
def use(settings: Settings) -> Any:
    """Sets ``DJANGO_CELERY_RESULTS`` for the rest of the test."""

    def use(**options: Any) -> None:
        settings.DJANGO_CELERY_RESULTS = options

    return use


@pytest.fixture
def disabled(use: Any) -> None:
    """A site with a row that the plugin wrote before it was disabled."""
    use(PLUGINS=[Reader], CODINGS=["backwards"])
    backend(result_serializer="literal").store_result("t1", {1: (2,)}, "SUCCESS")
    use(PLUGINS=[Reader], DISABLED_PLUGINS=["reader"])


@pytest.mark.usefixtures("disabled")
def test_row_of_a_disabled_plugin_is_read() -> None:
    """The plugin's coding and serializer are both found."""
    row = TaskResult.objects.get(task_id="t1")
    assert ("text/x-literal", "utf-8, backwards") == (row.content_type, row.content_encoding)
    assert {1: (2,)} == backend().get_result("t1")


def test_row_with_a_disabled_serializer_alone_is_read(use: Any) -> None:
    """``result_accept_content`` may name the serializer's content type."""
    use(PLUGINS=[Reader])
    backend(result_serializer="literal").store_result("t1", [5], "SUCCESS")
    use(PLUGINS=[Reader], DISABLED_PLUGINS=["reader"])
    assert [5] == backend(result_accept_content=["text/x-literal"]).get_result("t1")


@pytest.mark.usefixtures("disabled")
def test_row_with_a_disabled_coding_alone_is_read(use: Any) -> None:
    """Only the row's encoding shows that the plugin is needed."""
    use(PLUGINS=[Reader], CODINGS=["backwards"])
    backend(result_accept_content=["json"]).store_result("t2", 7, "SUCCESS")
    use(PLUGINS=[Reader], DISABLED_PLUGINS=["reader"])
    assert 7 == backend(result_accept_content=["json"]).get_result("t2")


@pytest.mark.usefixtures("disabled")
def test_hooks_of_a_disabled_plugin_are_not_called() -> None:
    """This stays so after the plugin has been used to read a row."""
    own = backend(result_extended=True)
    own.get_result("t1")
    own.store_result("t3", 1, "SUCCESS")
    row = TaskResult.objects.get(task_id="t3")
    assert (None, "utf-8") == (row.worker, row.content_encoding)


@pytest.mark.usefixtures("disabled")
def test_disabled_plugin_is_left_alone_where_no_row_needs_it() -> None:
    """The plugin is not even imported."""
    own = backend(result_accept_content=["json"])
    own.store_result("t4", 1, "SUCCESS")
    own.get_result("t4")
    assert ["reader"] == [one.info.name for one in load_plugins().dormant]


@pytest.mark.usefixtures("disabled")
def test_disabled_coding_cannot_be_selected(use: Any) -> None:
    """The error names the plugin that has the coding."""
    use(PLUGINS=[Reader], DISABLED_PLUGINS=["reader"], CODINGS=["backwards"])
    expected = "'backwards' .* belongs to the plugin 'reader', which is disabled"
    with pytest.raises(BackendMisconfigured, match=expected):
        backend()


def test_disabled_coding_gives_its_name_to_no_method_of_kombus(use: Any) -> None:
    """Kombu's method would silently be another coding; the error says how to select it."""
    use(PLUGINS=[Gzip], CODINGS=["gzip"])
    backend(result_accept_content=["json"]).store_result("t1", 7, "SUCCESS")
    assert "utf-8, gzip" == TaskResult.objects.get().content_encoding
    use(PLUGINS=[Gzip], DISABLED_PLUGINS=["gzipper"], CODINGS=["gzip"])
    expected = (
        r"the plugin 'gzipper', which is disabled \(.*write 'application/x-gzip'\)\. Installed"
    )
    with pytest.raises(BackendMisconfigured, match=expected):
        backend(result_accept_content=["json"])
    assert ["django_celery_results.E012"] == [message.id for message in check_plugins()]
    use(PLUGINS=[Gzip], DISABLED_PLUGINS=["gzipper"], CODINGS=["application/x-gzip"])
    assert 7 == backend(result_accept_content=["json"]).get_result("t1")


@pytest.mark.usefixtures("disabled")
@pytest.mark.usefixtures("disabled")
def test_disabled_serializer_cannot_be_selected() -> None:
    """The error names the plugin that has the serializer."""
    expected = "'literal' cannot be used: its plugin 'reader' is disabled and can only decode"
    with pytest.raises(BackendMisconfigured, match=expected):
        backend(result_serializer="literal")


def test_accepted_serializer_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the setting and the plugin to install; Celery's names only the serializer."""
    monkeypatch.setattr(distributions, "FIRST_PARTY", {"quick": "results-quick"})
    expected = (
        "^CELERY_RESULT_ACCEPT_CONTENT, or .* has 'quick', and there is no such serializer; "
        "install results-quick. Installed: json, "
    )
    with pytest.raises(BackendMisconfigured, match=expected):
        backend(result_accept_content=["json", "application/x-unknown", "quick"])


@pytest.mark.usefixtures("disabled")
def test_active_plugin_keeps_the_name(use: Any) -> None:
    """A disabled plugin never replaces a coding or serializer of an active one."""
    use(PLUGINS=[Reader, Rival], DISABLED_PLUGINS=["reader"])
    load_plugins().load_readers()
    contributions = load_plugins().contributions
    assert b"ab" == contributions.readers["backwards"].decode(b"ab")
    assert len is contributions.serializers["literal"].decode


@pytest.mark.usefixtures("disabled")
def test_disabled_plugin_that_cannot_be_imported(
    use: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is logged once, and the error for the row says what to install."""
    monkeypatch.setattr(distributions, "FIRST_PARTY", {"rot13": "results-rot13"})
    use(PLUGINS=["nowhere"], DISABLED_PLUGINS=["nowhere"])
    own = backend(result_accept_content=["json"])
    TaskResult.objects.update(content_encoding="utf-8, rot13")
    for _ in range(2):
        with pytest.raises(ResultUnreadable, match=r"'t1' .* install results-rot13 "):
            own.get_result("t1")
    message = (
        "Results of the disabled plugin 'nowhere' cannot be read: "
        "ModuleNotFoundError: No module named 'nowhere'"
    )
    logged = ("django_celery_results.registry.loading", logging.WARNING, message)
    assert [logged] == [one for one in caplog.record_tuples if "nowhere" in one[2]]


@pytest.mark.usefixtures("disabled")
def test_plugin_that_is_gone_is_no_loss(use: Any) -> None:
    """The row can be read again once the plugin is installed again."""
    use()
    with pytest.raises(ResultUnreadable, match="install the plugin that contributes it"):
        backend(result_accept_content=["json"]).get_result("t1")
    use(PLUGINS=[Reader])
    assert {1: (2,)} == backend().get_result("t1")
