"""No plain text anywhere: these tests search all that tasks cause to be stored, sent or logged."""

from __future__ import annotations

import logging
import pickle
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from cryptography.fernet import Fernet
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.searching import files, is_in, tables

if TYPE_CHECKING:
    from tests.configuring import Configure

# Transactional, so that the data reaches the database files.
pytestmark = pytest.mark.django_db(transaction=True)

KEY = Fernet.generate_key().decode()
#: The parts of a record that hold a secret.
PLACES = ("result", "argument", "keyword", "exception", "meta", "body", "part")
#: The logger of Celery's worker, which itself logs what tasks return and raise.
CELERYS_OWN = "celery.app.trace"


def make_app(url: str) -> Any:
    """Return an app whose worker stores every field."""
    app = Celery("secrets", set_as_current=False, broker="memory://")
    app.conf.update(result_backend=url, result_extended=True, task_track_started=True)
    return app


class Secrets:
    """Unique words, and tasks that return, receive or raise them."""

    def __init__(self, url: str) -> None:
        self.app = make_app(url)
        self.words = {place: f"{place}-{uuid4().hex}" for place in PLACES}
        self.group_id = uuid4().hex
        self.ids: list[str] = []

    def store(self) -> None:
        """Run a successful task, a failing task and a chord's part, as a worker does."""
        words = self.words
        header = [self.app.AsyncResult("under way"), self.app.AsyncResult("part")]
        self.backend.apply_chord((self.group_id, header), self.body())

        def succeed(task: Any, argument: str, *, keyword: str) -> str:
            task.request.meta = {"noted": words["meta"]}
            return words["result"] + argument[:0] + keyword[:0]

        def fail(argument: str, *, keyword: str) -> None:
            raise ValueError(words["exception"] + argument[:0] + keyword[:0])

        def part(argument: str, *, keyword: str) -> str:
            return words["part"] + argument[:0] + keyword[:0]

        make_task = partial(self.app.task, shared=False)
        failing = make_task(name="fail")(fail)
        self.trace(make_task(name="succeed", bind=True)(succeed))
        self.trace(failing)
        self.fail_chord(failing)
        own = make_task(name="part", ignore_result=True)(part)
        self.trace(own, group=self.group_id, chord=self.body(), ignore_result=True)

    def fail_chord(self, task: Any) -> None:
        """Fail the only task that a chord waits for."""
        group_id, task_id = uuid4().hex, uuid4().hex
        header = [self.app.AsyncResult(task_id)]
        self.backend.apply_chord((group_id, header), self.body())
        self.trace(task, id=task_id, group=group_id, chord=self.body())

    @property
    def backend(self) -> Any:
        """The app's result backend."""
        return self.app.backend

    def body(self) -> Any:
        """Return the signature of a chord's body."""
        return self.app.signature("add", args=(self.words["body"],), task_id=uuid4().hex)

    def trace(self, task: Any, **request: Any) -> None:
        """Run a task as a worker's process does."""
        args, kwargs = [self.words["argument"]], {"keyword": self.words["keyword"]}
        request |= {"argsrepr": repr(tuple(args)), "kwargsrepr": repr(kwargs), "hostname": "w@1"}
        request |= {"delivery_info": {}, "is_eager": False}
        request = {"id": uuid4().hex, "task": task.name, **request}
        self.ids.append(request["id"])
        build_tracer(task.name, task, app=self.app)(request["id"], args, kwargs, request)

    def found_in(self, *places: bytes) -> set[str]:
        """Return the names of the words found in the places, as they are or in base64."""
        return {name for name, word in self.words.items() if is_in(word, *places)}

    # -- The stored data -----------------------------------------------------------------

    def cached(self) -> bytes:
        """Return everything that the cache may hold."""
        chord = self.backend.storage.chord_key(self.group_id)
        keys = [chord, *(f"{chord}.part.{one}" for one in self.ids)]
        keys += map(self.backend.storage.task_key, self.ids)
        found = self.backend.storage.cache.get_many(keys)
        # The chord, its part, and three tasks that store their result.
        assert 5 == len(found)
        return pickle.dumps(found)


def logged(caplog: pytest.LogCaptureFixture) -> bytes:
    """Return everything that was logged, except by Celery's own worker."""
    lines = [logging.Formatter().format(one) for one in caplog.records if one.name != CELERYS_OWN]
    return "\n".join(lines).encode()


@pytest.fixture
def use(configure: Configure, caplog: pytest.LogCaptureFixture) -> Configure:
    """Logs at level DEBUG, and returns the function that sets settings."""
    caplog.set_level(logging.DEBUG)
    return configure


# -- The database --------------------------------------------------------------------


def test_database_has_no_plain_text(use: Configure, caplog: pytest.LogCaptureFixture) -> None:
    """Neither do its files, the statements sent to it, or the log."""
    use(CODINGS=["fernet"], fernet={"KEYS": [KEY]})
    secrets = Secrets("django-db")
    with CaptureQueriesContext(connection) as sent:
        secrets.store()
    statements = repr(sent.captured_queries).encode()
    assert b"INSERT" in statements
    assert set() == secrets.found_in(tables(), files(), statements, logged(caplog))


@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_search_finds_plain_text(use: Configure, serializer: str) -> None:
    """Without this, the test above would prove nothing."""
    use()
    secrets = Secrets(f"django-db://?serializer={serializer}")
    secrets.store()
    assert set(PLACES) == secrets.found_in(tables())
    if connection.vendor == "sqlite":
        assert set(PLACES) == secrets.found_in(files())


def test_encrypted_content_is_readable_with_the_key(use: Configure) -> None:
    """Each kind of field comes back decrypted."""
    use(CODINGS=["fernet"], fernet={"KEYS": [KEY]})
    secrets = Secrets("django-db")
    secrets.store()
    succeeded, failed = (secrets.backend.get_task_meta(one) for one in secrets.ids[:2])
    assert secrets.words["result"] == succeeded["result"]
    assert secrets.words["meta"] == succeeded["noted"]
    assert secrets.words["argument"] in succeeded["args"]
    assert secrets.words["exception"] == str(failed["result"])
    assert secrets.words["exception"] in failed["traceback"]


def test_tables_have_no_plain_text_after_rotation(
    use: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """``--encrypt-plain`` also encrypts rows that were stored before."""
    use()
    secrets = Secrets("django-db")
    secrets.store()
    use(CODINGS=["fernet"], fernet={"KEYS": [KEY]})
    caplog.clear()
    call_command("celery_results", "rotate", "--encrypt-plain", "--database=default", verbosity=0)
    assert set() == secrets.found_in(tables(), logged(caplog))


# -- The cache -----------------------------------------------------------------------


def test_cache_has_no_plain_text(
    use: Configure, results_cache: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither does the log, or the table of a cache in the database."""
    use(CODINGS=["fernet"], fernet={"KEYS": [KEY]})
    secrets = Secrets(f"django-cache://{results_cache}")
    secrets.store()
    assert set() == secrets.found_in(secrets.cached(), tables(), logged(caplog))


def test_search_finds_plain_text_in_the_cache(use: Configure) -> None:
    """Except the body, which is not stored in a cache."""
    use()
    caches["default"].clear()
    secrets = Secrets("django-cache")
    secrets.store()
    assert {*PLACES} - {"body"} == secrets.found_in(secrets.cached())
