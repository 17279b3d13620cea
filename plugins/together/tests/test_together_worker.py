"""All first-party plugins in a real worker: each does its part, and none harms another."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from celery.result import GroupResult
from django.contrib.admin.sites import AdminSite
from django.contrib.auth.models import User
from django.test import RequestFactory
from together_canvas import LARGE, Canvas, cached, counted
from together_site import ALL, ROOT, WORKER_SETTINGS, blobs
from together_tasks import CARD, MASK, NOTE, PASSWORD, PIN, brief_report, passing_report, written

from django_celery_results.models import TaskResult
from django_celery_results.testing import plugin_infos
from django_celery_results_labels import labelled, labels
from django_celery_results_labels.models import Label
from django_celery_results_prometheus.labels import UNKNOWN
from tests.integration import notes
from tests.integration.combinations import TOGETHER
from tests.searching import files, is_in, tables

if TYPE_CHECKING:
    from tests.configuring import Configure
    from tests.integration.conftest import Lab, Workers

BY_NAME = {one.name: one for one in TOGETHER}
on_rows = pytest.mark.parametrize(
    "lab", [one.name for one in TOGETHER if one.is_database], indirect=True
)


@pytest.fixture(params=list(BY_NAME))
def lab(
    request: pytest.FixtureRequest,
    workers: Workers,
    current_app: None,  # noqa: ARG001 - the worker's app becomes the current one
    use: Configure,  # noqa: ARG001 - the site's settings
    monkeypatch: pytest.MonkeyPatch,
) -> Lab:
    """Each worker in turn: processes and threads with the database, processes with the cache."""
    metrics = ROOT / "metrics" / request.param
    metrics.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(metrics))
    statuses = {one.name: one.status for one in plugin_infos()}
    assert dict.fromkeys(ALL, "active") == {name: statuses[name] for name in ALL}
    return workers.lab(BY_NAME[request.param], {"DJANGO_SETTINGS_MODULE": WORKER_SETTINGS})


@pytest.fixture(scope="module")
def canvases(shared_database: None) -> dict[str, Canvas]:  # noqa: ARG001 - emptied before and after
    """The results of each worker, once a test has requested them."""
    return {}


@pytest.fixture
def canvas(lab: Lab, canvases: dict[str, Canvas]) -> Canvas:
    """The results of the worker."""
    if lab.combination.name not in canvases:
        canvases[lab.combination.name] = Canvas(lab)
    return canvases[lab.combination.name]


def read(canvas: Canvas, result: Any) -> Any:
    """Return the value or the exception as another process reads it."""
    return canvas.lab.app.AsyncResult(result.id).get(propagate=False, timeout=5)


# -- Reading results -----------------------------------------------------------------


def test_results_are_read_back_masked(canvas: Canvas) -> None:
    """Otherwise unchanged: decompressed and decrypted, from the row or from a blob."""
    known = {"password": MASK, "pin": MASK, "note": NOTE, "card": MASK}
    assert {"user": "ann", **known} == read(canvas, canvas.login)
    assert MASK == read(canvas, canvas.insisted)
    assert canvas.lab.app.AsyncResult(canvas.nothing.id).successful()
    assert read(canvas, canvas.nothing) is None
    assert {**written(1, MASK, NOTE), "card": MASK} == read(canvas, canvas.report)


def test_failure_is_read_back_as_its_exception(canvas: Canvas) -> None:
    """Its message and traceback are masked."""
    result: Any = canvas.lab.app.AsyncResult(canvas.refused.id)
    error = result.get(propagate=False)
    message = f"bob came with {MASK}, and paid with {MASK}: {NOTE}"
    assert (PermissionError, message) == (type(error), str(error))
    assert f"PermissionError: {message}" in result.traceback
    assert PASSWORD not in result.traceback


def test_groups_and_chords_are_read_back(canvas: Canvas) -> None:
    """A saved group, a chord, and a chord whose header failed."""
    saved = GroupResult.restore(canvas.group.id, app=canvas.lab.app)
    assert [0, 2, 4] == saved.get(timeout=5)
    assert ["cat", "dan"] == read(canvas, canvas.chord)
    failed = str(read(canvas, canvas.broken))
    assert f"PermissionError('eve came with {MASK}, and paid with {MASK}: {NOTE}')" in failed
    assert PASSWORD not in str(canvas.lab.app.AsyncResult(canvas.broken.id).traceback)


def test_rows_name_their_codings(canvas: Canvas) -> None:
    """In the order of the settings; a small content is neither compressed nor offloaded."""
    forms = {one.task_id: one.contents for one in canvas.stored()}
    assert {"application/x-msgspec+json"} == {one.content_type for one in forms.values()}
    expected = ["utf-8, fernet", "utf-8, zstd, fernet, offload"]
    results = (canvas.nothing, canvas.report)
    assert expected == [forms[one.id].content_encoding for one in results]
    assert [0, 1] == [len(list(blobs(one.id))) for one in results]


# -- Secrets -------------------------------------------------------------------------


def test_secrets_are_nowhere(canvas: Canvas) -> None:
    """In rows, cache, blobs and log there is neither masked nor encrypted plain text."""
    log = canvas.lab.worker.text().encode()
    stored = [tables(), files(), cached(), *(path.read_bytes() for path in blobs())]
    secrets = (PASSWORD, PIN, CARD, NOTE)
    assert [] == [one for one in secrets if is_in(one, log, *stored)]
    # These prove that the search looks in the right places.
    assert b"together_tasks.login" in log
    assert canvas.report.id.encode() in (
        stored[0] if canvas.lab.combination.is_database else stored[2]
    )


# -- Labels, metrics and retention ---------------------------------------------------


@on_rows
def test_labels_find_the_tasks_sent_with_them(canvas: Canvas) -> None:
    """And the tasks that these sent in turn: children, retries, bodies of chords."""
    rows = TaskResult.objects.filter(task_id__in=canvas.ids)
    assert canvas.labelled == set(rows.filter(labelled(tenant=3)).values_list("task_id", flat=True))


@on_rows
def test_labels_of_results_are_masked(canvas: Canvas) -> None:
    """A labelling function gets the masked result, not the returned one."""
    logins = [canvas.login, *canvas.chord.parent.results]
    cards = Label.objects.filter(task__in=[one.id for one in logins], name="card")
    assert [MASK] * 3 == [one.value for one in cards]


@on_rows
def test_admin_finds_and_shows_labels(canvas: Canvas) -> None:
    """Even if the page cannot decode the contents of other tasks."""
    from django_celery_results_labels.admin import LabelledTaskResultAdmin

    request = RequestFactory().get("/", {"label": "tenant=3", "q": canvas.login.id})
    request.user = User(is_staff=True, is_superuser=True)
    page = LabelledTaskResultAdmin(TaskResult, AdminSite())
    (row,) = page.get_changelist_instance(request).result_list
    assert (canvas.login.id, f"card={MASK}, tenant=3") == (row.task_id, page.labels(row))


def test_metrics_count_the_stored_results(canvas: Canvas) -> None:
    """Over all processes, each state once, and with the size of the rows in bytes."""
    expected = canvas.states()
    names = {name for name, _ in expected}

    def seen() -> Counter[tuple[str, ...]]:
        found = counted("celery_results_stored_total")
        return Counter({key: found[key] for key in found if key[0] in names})

    # A result is visible to others shortly before it is counted.
    notes.eventually(lambda: seen().total() >= expected.total())
    assert expected == seen()
    sizes: Counter[str] = Counter()
    for one in canvas.stored():
        sizes[one.name or UNKNOWN] += sum(len(text or "") for text in one.contents.fields.values())
    stored = counted("celery_results_stored_bytes_total")
    once = names - {"together_tasks.insist"}
    assert {name: sizes[name] for name in once} == {name: stored[name,] for name in once}


@on_rows
def test_rows_have_the_retention_of_their_rule(canvas: Canvas) -> None:
    """The first matching rule decides; without one, Celery's setting does."""
    rows = {one.task_id: one for one in TaskResult.objects.filter(task_id__in=canvas.ids)}
    report, refused, login = (rows[one.id] for one in (canvas.report, canvas.refused, canvas.login))
    days = [(one.date_expires - one.date_done) / timedelta(days=1) for one in (report, refused)]
    assert [365, 30] == [round(one, 3) for one in days]
    assert login.date_expires is None


# -- Deletion ------------------------------------------------------------------------


def test_forgotten_result_is_deleted_completely(lab: Lab) -> None:
    """Its row, its blob and its labels."""
    with labels(tenant=4):
        result = passing_report.delay(2, **LARGE)
    assert NOTE == lab.get(result)["note"]
    assert 1 == len(list(blobs(result.id)))
    result.forget()
    assert "PENDING" == lab.app.AsyncResult(result.id).state
    assert [] == list(blobs(result.id))
    assert not Label.objects.filter(task=result.id).exists()


@on_rows
def test_expired_result_is_archived_and_deleted_completely(lab: Lab) -> None:
    """The archive has it masked but decrypted; row, blob and labels are deleted and counted."""
    with labels(tenant=5):
        result = brief_report.delay(3, **LARGE)
    lab.get(result)
    before = counted("celery_results_deleted_total")["expired",]
    lab.get(lab.app.send_task("celery.backend_cleanup"))
    assert 1 == counted("celery_results_deleted_total")["expired",] - before
    assert [] == list(blobs(result.id))
    assert not TaskResult.objects.filter(task_id=result.id).exists()
    assert not Label.objects.filter(task=result.id).exists()
    files = [*(ROOT / "archive").rglob("together_tasks.brief_report/*.jsonl")]
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    (kept,) = [row for row in rows if row["task_id"] == result.id]
    assert {**written(3, MASK, NOTE), "card": MASK} == kept["result"]
    assert not is_in(PASSWORD, *(file.read_bytes() for file in files))


@pytest.mark.parametrize("lab", ["together_cache"], indirect=True)
def test_result_with_a_retention_of_0_is_in_no_cache(lab: Lab) -> None:
    """Its blob is deleted as well."""
    result = brief_report.delay(4, **LARGE)
    key = ("together_tasks.brief_report", "SUCCESS")
    notes.eventually(lambda: counted("celery_results_stored_total")[key] > 0)
    assert "PENDING" == lab.app.AsyncResult(result.id).state
    assert [] == list(blobs(result.id))
