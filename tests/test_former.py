"""Every name that 2.6.0 let a site import is there, and gives what it gave."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, states
from celery.canvas import Signature
from django.db import InterfaceError, models
from django.test import override_settings
from django.utils import timezone

from django_celery_results import admin, utils
from django_celery_results.backends import database
from django_celery_results.models import ALL_STATES, TASK_STATE_CHOICES, TaskResult

#: The names of 2.6.0; tests/test_swap.py compares the list with 2.6.0 itself.
NAMES = json.loads((Path(__file__).parent / "swap" / "names.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_2_6_is_there(name: str) -> None:
    """It is a name of a module, or of a class in one."""
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        assert hasattr(found, part)
        found = getattr(found, part)


def test_the_list_is_that_of_a_whole_release() -> None:
    """An empty list would pass the test above."""
    assert len(NAMES) > 300


def test_states_are_those_of_celery() -> None:
    """Sites build the choices of forms and fields from them."""
    assert sorted(states.ALL_STATES) == ALL_STATES
    assert models.CharField(choices=TASK_STATE_CHOICES).choices == [
        (one, one) for one in ALL_STATES
    ]


@pytest.mark.parametrize("allowed", [True, False])
def test_allow_edits_is_the_setting(allowed: bool) -> None:
    """It is read at each access, so that tests can override the setting."""
    with override_settings(DJANGO_CELERY_RESULTS={"ALLOW_EDITS": allowed}):
        assert allowed is getattr(admin, "ALLOW_EDITS")  # noqa: B009 - hidden from type checkers


def test_now_localtime_converts_to_the_current_time_zone() -> None:
    """2.6 called it with a moment."""
    with timezone.override("Asia/Kathmandu"):
        assert timezone.localtime().utcoffset() == utils.now_localtime(timezone.now()).utcoffset()


def test_exceptions_to_catch_are_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are Django's own and, where it is installed, psycopg2's."""
    driver = SimpleNamespace(InterfaceError=ConnectionError)
    monkeypatch.setattr(database, "import_module", lambda _: driver)
    assert (InterfaceError, ConnectionError) == former("EXCEPTIONS_TO_CATCH")


def test_exceptions_to_catch_without_psycopg2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's own error is always among them."""

    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(database, "import_module", missing)
    assert (InterfaceError,) == former("EXCEPTIONS_TO_CATCH")


def former(name: str) -> Any:
    """Return what the module gives, which is hidden from type checkers."""
    return getattr(database, name)


def test_a_name_of_neither_release_is_missing() -> None:
    """The error is the usual one."""
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        former("nothing")
    with pytest.raises(ImportError, match="nothing"):
        exec("from django_celery_results.models import nothing")


# -- trigger_callback ----------------------------------------------------------------


class Body(Signature[Any]):
    """A chord's body that records what it is sent with."""

    fails = False

    def delay(self, values: Any) -> Any:
        """Record the values, or fail as a broker does that is away."""
        if self.fails:
            raise ConnectionError("no broker")
        self["sent"] = values


@pytest.fixture
def app() -> Celery:
    """An app whose results are in the database."""
    app = Celery("former", set_as_current=False)
    app.conf.update(result_backend="django-db", result_chord_join_timeout=0.05)
    return app


@pytest.mark.django_db
@pytest.mark.parametrize("native", [True, False])
def test_trigger_callback_sends_the_results(
    app: Celery, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It joins the group first."""
    monkeypatch.setattr(type(app.backend), "supports_native_join", native)
    app.backend.store_result("t1", 1, states.SUCCESS)
    body = Body("body", app=app)
    database.trigger_callback(app, body, app.GroupResult("g1", [app.AsyncResult("t1")]))
    assert [1] == body["sent"]


@pytest.mark.django_db
def test_trigger_callback_stores_a_failure(app: Celery) -> None:
    """The body's own result says why it was not sent."""
    app.backend.store_result("t1", 1, states.SUCCESS)
    body = Body("body", app=app, options={"task_id": "body-id"})
    body.fails = True
    database.trigger_callback(app, body, app.GroupResult("g1", [app.AsyncResult("t1")]))
    assert "no broker" in str(app.AsyncResult("body-id").result)
    assert states.FAILURE == TaskResult.objects.get(task_id="body-id").status
