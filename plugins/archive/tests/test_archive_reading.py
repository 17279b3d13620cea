"""The plugin ``archive``: pandas and DuckDB can read its files."""

from __future__ import annotations

from datetime import datetime, timezone
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from django_celery_results.models import TaskResult
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from pytest_django import Settings

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

DONE = datetime(2026, 11, 21, 23, 30, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def shown() -> Any:
    """The module that the documentation shows."""
    spec = spec_from_file_location(
        "archive_reading", Path(__file__).with_name("archive_reading.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def archived(
    request: pytest.FixtureRequest,
    settings: Settings,
    tmp_path: Path,
    configure: Configure,
    make_backend: MakeBackend,
) -> Path:
    """The file with an expired result, written with the options of the parameter."""
    disk = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(tmp_path)},
    }
    settings.STORAGES = {**settings.STORAGES, "disk": disk}
    configure(archive={"STORAGE": "disk", **request.param})
    backend = make_backend(result_expires=3600, result_extended=True)
    call = request_of("t1", task="shop.pay")
    backend.store_result("t1", {"total": 5}, "SUCCESS", None, call)
    TaskResult.objects.update(date_done=DONE)
    backend.cleanup()
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    return file


@pytest.mark.parametrize("archived", [{}, {"GZIP": True}, {"FORMAT": "parquet"}], indirect=True)
def test_pandas_reads_a_file(archived: Path, shown: Any) -> None:
    """Values keep their types, and dates are dates."""
    (row,) = shown.with_pandas(str(archived)).to_dict("records")
    assert ("t1", "shop.pay", {"total": 5}, DONE) == (
        row["task_id"],
        row["name"],
        row["result"],
        row["date_done"],
    )


@pytest.mark.parametrize("archived", [{}, {"GZIP": True}], indirect=True)
def test_duckdb_counts_the_results_in_a_folder(archived: Path, shown: Any) -> None:
    """Across all days and tasks."""
    assert [("shop.pay", "SUCCESS", 1)] == shown.with_duckdb(str(archived.parents[2]))
