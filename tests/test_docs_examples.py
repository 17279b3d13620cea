"""The documentation's example plugins do what the pages say."""

from __future__ import annotations

import re
from datetime import timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.app.task import Context
from celery.result import GroupResult
from django.core.management import call_command
from django.utils import timezone
from importlib_metadata import EntryPoint

from django_celery_results import models
from django_celery_results.checks import check_plugin_settings
from django_celery_results.exceptions import BackendMisconfigured, HookError

if TYPE_CHECKING:
    from pytest_django import Settings

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"


@pytest.fixture
def make_app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that returns the Celery app of a site with the given plugins."""
    monkeypatch.syspath_prepend(EXAMPLES)

    def make(plugin: str, options: dict[str, Any] | None = None, **conf: Any) -> Celery:
        settings.DJANGO_CELERY_RESULTS = {"PLUGINS": [f"myplugins.{plugin}"], **(options or {})}
        app = Celery("site", set_as_current=False)
        app.conf.update({"result_backend": "django-db", "result_extended": True, **conf})
        return app

    return make


@pytest.mark.django_db
def test_card_numbers_are_not_stored(make_app: Any) -> None:
    """The README's plugin keeps only four digits of a card number."""
    backend = make_app("card_numbers").backend

    backend.store_result("paid", "by 4111 1111 1111 1234", "SUCCESS")

    assert "by ****1234" == backend.get_result("paid")


def test_entry_point_of_the_distribution_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The example pyproject names a module that is a plugin."""
    monkeypatch.syspath_prepend(EXAMPLES / "myplugins")
    text = (EXAMPLES / "card-numbers" / "pyproject.toml").read_text(encoding="utf-8")
    pattern = r"entry-points\.(\w+)\]\n([\w-]+) = \"(\w+)\""
    group, name, value = re.findall(pattern, text)[0]

    plugin = EntryPoint(name=name, value=value, group=group).load()

    assert hasattr(plugin, "before_store")


@pytest.mark.django_db
def test_literal_serializer_keeps_python_types(make_app: Any) -> None:
    """Sets, tuples and bytes are returned unchanged."""
    conf = {"result_serializer": "literal", "result_accept_content": ["literal", "json"]}
    backend = make_app("literal_serializer", **conf).backend

    backend.store_result("task", {1, (2, b"3")}, "SUCCESS")

    assert {1, (2, b"3")} == backend.get_result("task")


@pytest.mark.django_db
@pytest.mark.parametrize(("length", "encoding"), [(10, "utf-8"), (2000, "utf-8, deflate")])
def test_deflate_coding_is_for_long_results(make_app: Any, length: int, encoding: str) -> None:
    """A short result is stored unchanged, a long one compressed; both can be read."""
    backend = make_app("deflate_coding", {"CODINGS": ["deflate"]}).backend

    backend.store_result("task", "x" * length, "SUCCESS")

    assert encoding == models.TaskResult.objects.get(task_id="task").content_encoding
    assert "x" * length == backend.get_result("task")


@pytest.mark.django_db
def test_finished_signal_is_sent_once(make_app: Any) -> None:
    """It is sent at the end of a task, not at the start, and not again for a late message."""
    backend = make_app("finished_signal").backend
    signal = import_module("myplugins.finished_signal").task_finished
    heard: list[str] = []

    def hear(task: Any, **kwargs: Any) -> None:
        heard.append(task.status)

    signal.connect(hear)
    for status in ("STARTED", "SUCCESS", "FAILURE"):
        backend.store_result("task", None, status)

    assert ["SUCCESS"] == heard


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "days"), [("reports.yearly", 365), ("shop.pay", None)])
def test_reports_are_kept_longer(make_app: Any, name: str, days: int | None) -> None:
    """The option's prefix selects the results that get a date, even if names are not stored."""
    options = {"keep-reports": {"PREFIX": "reports.", "DAYS": 365}}
    backend = make_app("keep_reports:KeepReports", options, result_extended=False).backend

    backend.store_result("task", 1, "SUCCESS", request=Context(task=name))

    expires = models.TaskResult.objects.get(task_id="task").date_expires
    assert days == (expires and round((expires - timezone.now()) / timedelta(days=1)))


def test_wrong_option_of_the_reports_is_reported(make_app: Any) -> None:
    """`manage.py check` says which values are right, under the plugin's own id."""
    make_app("keep_reports:KeepReports", {"keep-reports": {"PREFIX": "reports.", "DAYS": 0}})

    (message,) = check_plugin_settings()

    assert ("keep-reports.E003", True) == (message.id, "number of 1 or more" in message.msg)


@pytest.mark.django_db
def test_count_command_counts(make_app: Any) -> None:
    """It is an action of the package's command, and has its own argument."""
    make_app("count_command").backend.store_result("task", 1, "FAILURE")
    out = StringIO()

    call_command("celery_results", "count", "--state", "FAILURE", stdout=out)

    assert "1 in state FAILURE\n" == out.getvalue()


@pytest.mark.django_db
def test_archive_has_what_expired(make_app: Any, tmp_path: Path) -> None:
    """The result is in the file, and deleted from the table."""
    file = tmp_path / "archive"
    app = make_app("archive:Archive", {"archive": {"FILE": str(file)}}, result_expires=60)
    app.backend.store_result("task", [1, 2], "SUCCESS")
    models.TaskResult.objects.update(date_done=timezone.now() - timedelta(hours=1))

    app.backend.cleanup()

    assert '{"id": "task", "status": "SUCCESS", "result": [1, 2]}\n' == file.read_text()
    assert not models.TaskResult.objects.exists()


@pytest.mark.django_db
def test_slow_writes_are_logged(
    make_app: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A write that takes longer than the limit is logged with its name, and is still done."""
    backend = make_app("slow_writes").backend
    monkeypatch.setattr("myplugins.slow_writes.LIMIT", 0)

    backend.store_result("task", 1, "SUCCESS")

    assert ["Storing task task took 0.0 s"] == [
        record.getMessage() for record in caplog.records if record.name.startswith("myplugins")
    ]
    assert 1 == backend.get_result("task")


@pytest.mark.parametrize("late", ["STARTED", "FAILURE", "PENDING"])
def test_pocket_stores_reads_and_forgets(make_app: Any, tmp_path: Path, late: str) -> None:
    """Like every storage, the smallest one must keep a success."""
    url = f"django-results+pocket://{tmp_path}/results.sqlite3"
    backend = make_app("pocket", result_backend=url).backend
    backend.store_result("task", {"a": 1}, "SUCCESS")

    backend.store_result("task", None, late)

    assert {"a": 1} == backend.get_task_meta("task", cache=False)["result"]
    backend.forget("task")
    assert "PENDING" == backend.get_state("task")


SHORT = ["archive", "card_numbers", "deflate_coding", "finished_signal", "keep_reports"]


@pytest.mark.parametrize("name", [*SHORT, "literal_serializer", "pocket", "slow_writes"])
def test_plugin_of_each_kind_is_short(name: str) -> None:
    """Each has fewer than thirty lines, not counting blank ones."""
    lines = (EXAMPLES / "myplugins" / f"{name}.py").read_text().splitlines()
    assert len([line for line in lines if line]) < 30


@pytest.fixture
def notebook(make_app: Any, tmp_path: Path) -> Any:
    """A backend on the example's storage."""
    url = f"django-results+notebook://{tmp_path}/results.sqlite3"
    return make_app("notebook", result_backend=url).backend


def test_notebook_stores_and_reads(notebook: Any) -> None:
    """A result, and a failure with its exception, can be read."""
    notebook.store_result("good", {"a": 1}, "SUCCESS")
    notebook.store_result("bad", ValueError("no"), "FAILURE", traceback="trace")

    assert {"a": 1} == notebook.get_result("good")
    assert "ValueError('no')" == repr(notebook.get_result("bad"))
    assert "trace" == notebook.get_traceback("bad")


@pytest.mark.parametrize("late", ["STARTED", "FAILURE", "PENDING"])
def test_notebook_keeps_a_success(notebook: Any, late: str) -> None:
    """Every storage has to follow this rule."""
    notebook.store_result("task", 1, "SUCCESS")

    notebook.store_result("task", None, late)

    assert "SUCCESS" == notebook.get_state("task")


def test_notebook_forgets(notebook: Any) -> None:
    """A forgotten task is unknown again."""
    notebook.store_result("task", 1, "SUCCESS")

    notebook.forget("task")

    assert "PENDING" == notebook.get_state("task")


def test_notebook_says_that_it_has_no_groups(notebook: Any) -> None:
    """A storage without the hooks for groups raises an error instead of losing groups."""
    with pytest.raises(HookError, match="save_group"):
        notebook.save_group("group", GroupResult("group", []))


def test_notebook_needs_a_path(make_app: Any) -> None:
    """The error for an unusable URL shows a valid one."""
    app = make_app("notebook", result_backend="django-results+notebook:///no/such/place")

    with pytest.raises(BackendMisconfigured, match="names /no/such/place, which is not a file"):
        app.backend  # noqa: B018 - making it is the test
