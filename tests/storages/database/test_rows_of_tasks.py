"""The storage ``django-db``: old and broken rows, text that does not fit, and codings."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from celery import states
from celery.backends.base import Backend
from celery.result import GroupResult
from celery.utils.serialization import b64encode

from django_celery_results import hookimpl
from django_celery_results.exceptions import BackendMisconfigured, IdTooLong, ResultUnreadable
from django_celery_results.models import TaskResult
from django_celery_results.records import Coding
from tests.backends.common import make_like, make_row, row
from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_django import DjangoAssertNumQueries

    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db


# -- Rows of 2.6, and rows that are broken -------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"result": '{"a": 1}'}, {"a": 1}),
        ({"result": "a: 1\n", "content_type": "application/x-yaml"}, {"a": 1}),
        (
            {
                "result": b64encode(pickle.dumps({"a": 1})),
                "content_type": "application/x-python-serialize",
                "content_encoding": "binary",
            },
            {"a": 1},
        ),
        ({"result": None}, None),
    ],
)
def test_rows_of_2_6_are_read(
    make_backend: MakeBackend, columns: dict[str, Any], expected: Any
) -> None:
    """They hold text or base64."""
    make_row(**columns)
    assert expected == make_backend(result_accept_content=["json", "yaml", "pickle"]).get_result(
        "t1"
    )


def test_bare_reprs_are_read(backend: Any) -> None:
    """They are returned under both names of the arguments."""
    make_row(result="1", task_args="(1, 2)", task_kwargs="{'a': 1}")
    meta = backend.get_task_meta("t1")
    assert ("(1, 2)", "(1, 2)", "{'a': 1}") == (meta["args"], meta["task_args"], meta["kwargs"])


@pytest.mark.parametrize("empty", ["", None])
def test_a_hand_made_row_without_content_type_is_pending(backend: Any, empty: str | None) -> None:
    """Sites create rows when they send tasks."""
    TaskResult.objects.create(task_id="t1", result=empty)
    assert states.PENDING == backend.get_state("t1")


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"result": "{"}, "result is corrupt"),
    ({"meta": "{", "result": "1"}, "meta is corrupt"),
    ({"result": "1", "content_type": "application/x-none"}, "application/x-none"),
    ({"result": "eA==", "content_encoding": "utf-8, rot13"}, "'rot13' is not installed"),
    ({"result": "eA==", "content_type": "application/x-python-serialize"}, "result_accept_content"),
]


@pytest.mark.parametrize(("columns", "missing"), BROKEN)
def test_a_broken_row_is_named_with_what_is_missing(
    backend: Any, columns: dict[str, Any], missing: str
) -> None:
    """Only that result raises the error."""
    make_row(**columns)
    with pytest.raises(ResultUnreadable, match=r"'t1'.*") as caught:
        backend.get_task_meta("t1")
    assert missing in str(caught.value)


@pytest.mark.parametrize(("columns", "missing"), BROKEN)
def test_among_many_a_broken_row_does_not_affect_the_others(
    backend: Any, columns: dict[str, Any], missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a failure with its error."""
    make_row("good", result="1")
    make_row("bad", **columns)
    metas = dict(backend.get_many(["bad", "good"], timeout=5))
    assert 1 == metas["good"]["result"]
    assert missing in str(metas["bad"]["result"])
    assert "The result of task bad cannot be read" in caplog.text


# -- What does not fit ---------------------------------------------------------------


def test_an_id_longer_than_its_column_never_reaches_the_database(
    backend: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """The error names the setting."""
    with (
        django_assert_num_queries(0),
        pytest.raises(IdTooLong, match="DJANGO_CELERY_RESULTS_TASK_ID_MAX_LENGTH"),
    ):
        backend.mark_as_done("t" * 256, 1)


@pytest.mark.parametrize("what", ["group", "chord"])
def test_a_group_id_longer_than_its_column_never_reaches_the_database(
    backend: Any, what: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """This holds for groups and for chords."""
    save: Callable[[], Any] = {
        "group": GroupResult("g" * 256, [], app=backend.app).save,
        "chord": lambda: backend.apply_chord(("g" * 256, []), None),
    }[what]
    with django_assert_num_queries(0), pytest.raises(IdTooLong, match="group_id"):
        save()


def test_the_longest_id_is_stored(backend: Any) -> None:
    backend.mark_as_done("ä" * 255, 1)
    assert 1 == backend.get_result("ä" * 255)


@pytest.mark.parametrize("text", ["NUL \x00", "lone \ud800"])
def test_unstorable_text_loses_no_failure(make_backend: MakeBackend, text: str) -> None:
    """It may be in the traceback, in the names or in the exception."""
    backend = make_backend(result_extended=True)
    request = request_of(task=text, hostname=text, periodic_task_name=text, argsrepr=text)
    backend.mark_as_failure("t1", ValueError(text), traceback=text, request=request)
    assert states.FAILURE == row().status
    assert text == str(backend.get_result("t1"))


def test_unstorable_text_in_a_state_is_escaped(backend: Any) -> None:
    """A task may set any text as a custom state."""
    backend.store_result("t1", None, "A\x00B")
    assert "A\\x00B" == row().status


@pytest.mark.parametrize(
    ("attribute", "column", "length"),
    [("hostname", "worker", 100), ("task", "task_name", 255), ("periodic_task_name",) * 2 + (255,)],
)
def test_too_long_names_are_shortened_visibly(
    make_backend: MakeBackend, attribute: str, column: str, length: int
) -> None:
    """The result must not be lost for them."""
    backend = make_backend(result_extended=True)
    backend.mark_as_done("t1", 1, request=request_of(**{attribute: "n" * 300}))
    assert "n" * (length - 1) + "…" == getattr(row(), column)


@pytest.mark.parametrize("serializer", ["yaml", "msgpack", "pickle"])
def test_unstorable_text_in_a_result_comes_back(make_backend: MakeBackend, serializer: str) -> None:
    """Some serializers escape it, others do not."""
    backend = make_backend(result_serializer=serializer, result_accept_content=[serializer])
    backend.mark_as_done("t1", "a\x00b")
    assert "a\x00b" == make_like(make_backend, backend).get_result("t1")


# -- Codings -------------------------------------------------------------------------


def test_codings_reach_every_column(make_backend: MakeBackend, registered: Register) -> None:
    """No plain text is left in the row."""
    registered(CODINGS=["gzip"])
    backend = make_backend(result_extended=True)
    request = request_of(argsrepr="secret", kwargsrepr="secret", meta={"k": "secret"})
    backend.mark_as_failure("t1", ValueError("secret"), traceback="secret", request=request)
    stored = row()
    assert "utf-8, application/x-gzip" == stored.content_encoding
    for column in ("result", "traceback", "meta", "task_args", "task_kwargs"):
        assert "secret" not in getattr(stored, column)


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_coded_rows_stay_readable_when_codings_are_switched_off(
    make_backend: MakeBackend, registered: Register, serializer: str
) -> None:
    """The row says how to read it."""
    registered(CODINGS=["gzip", "bzip2"])
    conf = {"result_serializer": serializer, "result_accept_content": [serializer]}
    make_backend(**conf).mark_as_failure("t1", ValueError("x"), traceback="trace")
    registered(CODINGS=[])
    meta = make_backend(**conf).get_task_meta("t1")
    assert ("x", "trace") == (str(meta["result"]), meta["traceback"])


def test_a_coding_that_is_not_installed_is_a_misconfiguration(
    make_backend: MakeBackend, registered: Register
) -> None:
    """The error lists the installed ones."""
    registered(CODINGS=["rot13"])
    with pytest.raises(BackendMisconfigured, match=r"'rot13'.*application/x-gzip"):
        make_backend()


@pytest.mark.skipif(
    not hasattr(Backend, "prepare_compression"), reason="result_compression came with Celery 5.7"
)
def test_result_compression_is_a_coding(make_backend: MakeBackend, registered: Register) -> None:
    """It is applied before those of ``CODINGS``."""
    registered(CODINGS=["identity"])
    backend = make_backend(result_compression="gzip")
    backend.mark_as_done("t1", "text")
    assert "utf-8, application/x-gzip, identity" == row().content_encoding
    assert "text" == make_backend().get_result("t1")


class Gzip:
    """A plugin whose coding has the name of one of Kombu's methods."""

    @hookimpl
    def contribute_codings(self) -> Iterable[Coding]:
        """Offer ``gzip``."""
        yield Coding(name="gzip", encode=bytes, decode=bytes)


@pytest.mark.skipif(
    not hasattr(Backend, "prepare_compression"), reason="result_compression came with Celery 5.7"
)
def test_result_compression_is_always_kombus_method(
    make_backend: MakeBackend, registered: Register
) -> None:
    """Celery documents it so; a plugin's coding of that name is used for ``CODINGS`` only."""
    registered(Gzip(), CODINGS=["gzip"])
    make_backend(result_compression="gzip").mark_as_done("t1", "text")
    assert "utf-8, application/x-gzip, gzip" == row().content_encoding


def test_arguments_in_another_encoding_lose_no_result(
    make_backend: MakeBackend, registered: Register
) -> None:
    """An unreleased version kept such arguments in a row: they are read without its codings."""
    registered(CODINGS=["gzip"])
    make_backend().mark_as_done("t1", 7)
    TaskResult.objects.update(task_args='"(1,)"')
    meta = make_backend().get_task_meta("t1")
    assert (7, "(1,)") == (meta["result"], meta["args"])


@pytest.mark.parametrize("missing", [None, ""])
def test_a_result_needs_an_id(backend: Any, missing: str | None) -> None:
    """Celery's key-value backends raise the same error."""
    with pytest.raises(ValueError, match="task_id must not be empty"):
        backend.store_result(missing, 1, states.SUCCESS)
    assert not TaskResult.objects.exists()
