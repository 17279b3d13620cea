"""``manage.py celery_results chords``: what it lists and what it finishes."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, states
from django.core.management import CommandError, call_command

from django_celery_results.models import ChordCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.django_db

HEADINGS = ["GROUP", "AGE", "RETURNED", "CLAIMED", "BODY"]


@pytest.fixture
def use_app() -> Iterator[Callable[..., Any]]:
    """Creates the site's Celery app."""
    from celery._state import get_current_app

    before: Any = get_current_app()

    def make(backend: str = "django-db") -> Any:
        app = Celery("site", set_as_current=False)
        app.conf.update(result_backend=backend, broker_url="memory://", task_always_eager=True)
        app.task(name="total", shared=False)(total)
        app.set_current()
        return app

    yield make
    before.set_current()


def total(values: list[int]) -> int:
    """Return the sum."""
    return sum(values)


@pytest.fixture
def app(use_app: Callable[..., Any]) -> Any:
    """The site's app, with results in the database."""
    return use_app()


def start(app: Any, *task_ids: str, backend: Any = None) -> None:
    """Start the chord ``c1``."""
    body = app.tasks["total"].s().set(task_id="body-id")
    members = [app.AsyncResult(one) for one in task_ids]
    (backend or app.backend).apply_chord(("c1", members), body)


def output(*arguments: str) -> str:
    """The command's output."""
    out = StringIO()
    call_command("celery_results", "chords", *arguments, stdout=out, no_color=True)
    return out.getvalue()


def table(*arguments: str) -> list[list[str]]:
    """The words of the output, by line."""
    return [line.split() for line in output(*arguments).splitlines()]


def test_chords_are_listed(app: Any) -> None:
    """Each line has the chord's age, its finished parts, and the task of its body."""
    start(app, "a", "b")
    app.backend.store_result("a", 1, states.SUCCESS)
    now = datetime.now(timezone.utc)
    ChordCounter.objects.update(date_created=now - timedelta(hours=1), count=1)
    heading, row = table()
    assert HEADINGS == heading
    assert ["c1", "1:00:0", "1/2", "-", "total"] == [row[0], row[1][:6], *row[2:]]


def test_a_claim_is_listed_with_its_age(app: Any) -> None:
    """An age of a day or more includes the days."""
    start(app, "a")
    now = datetime.now(timezone.utc)
    ChordCounter.objects.update(date_claimed=now - timedelta(days=2, minutes=3), count=0)
    assert ["1/1", "2", "days,"] == table()[1][2:5]


@pytest.mark.usefixtures("app")
def test_a_body_that_is_not_known_has_a_dash() -> None:
    """2.6 did not record the body of a chord."""
    ChordCounter.objects.create(group_id="old", sub_tasks='[[["a", null], null]]', count=1)
    assert ["0/1", "-", "-"] == table()[1][2:]


def test_a_body_that_cannot_be_read_says_so(app: Any) -> None:
    """The other chords are still listed."""
    start(app, "a")
    ChordCounter.objects.update(body="{")
    assert "(cannot be read)" in output()


def test_nothing_is_finished_unless_asked(app: Any) -> None:
    """Listing changes nothing."""
    start(app, "a")
    app.backend.store_result("a", 1, states.SUCCESS)
    assert "0/1" in output()
    assert ChordCounter.objects.exists()


def test_finish_sends_what_nobody_sent(app: Any) -> None:
    """The command then lists the chords that are left."""
    start(app, "a")
    app.backend.store_result("a", 1, states.SUCCESS)
    assert [["Finished", "1", "chord."], HEADINGS] == table("--finish")
    assert ["Finished", "0", "chords."] == table("--finish")[0]


def test_json_has_every_field(app: Any) -> None:
    """Dates are in ISO 8601, and missing ones are null."""
    start(app, "a", "b")
    counter = ChordCounter.objects.get()
    expected = {
        "group_id": "c1",
        "size": 2,
        "waiting": 2,
        "date_created": counter.date_created and counter.date_created.isoformat(),
        "date_claimed": None,
        "body": ["total"],
    }
    assert {"finished": None, "chords": [expected]} == json.loads(output("--json"))


@pytest.mark.usefixtures("app")
def test_json_says_how_many_were_finished() -> None:
    """Only with --finish does the JSON have the number."""
    assert {"finished": 0, "chords": []} == json.loads(output("--json", "--finish"))


@pytest.mark.django_db(databases=["default", "secondary"])
def test_another_database_can_be_named(app: Any) -> None:
    """The site's own database is left alone."""
    backend = type(app.backend)(app, url="django-db://secondary")
    start(app, "a", backend=backend)
    assert (1, 2) == (len(table()), len(table("--database", "secondary")))


@pytest.mark.django_db(databases=["default", "secondary"])
def test_a_database_can_be_named_whatever_the_backend(use_app: Callable[..., Any]) -> None:
    """The site may have switched to another backend since."""
    use_app("cache+memory://")
    assert [HEADINGS] == table("--database", "secondary")


@pytest.mark.usefixtures("app")
def test_an_unknown_database_is_an_error() -> None:
    """The error lists the databases that exist."""
    with pytest.raises(CommandError, match="'nowhere'"):
        output("--database", "nowhere")


def test_a_backend_of_somebody_else_is_an_error(use_app: Callable[..., Any]) -> None:
    """Another backend has none of this package's chords to list."""
    use_app("cache+memory://")
    with pytest.raises(CommandError, match="is not from django-celery-results"):
        output()


def test_a_storage_that_lists_no_chords_is_an_error(use_app: Callable[..., Any]) -> None:
    """The error says what finishes that storage's chords instead."""
    use_app("django-cache")
    with pytest.raises(CommandError, match="'django-cache' cannot list its chords"):
        output("--finish")
