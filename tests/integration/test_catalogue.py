"""Each canvas of the catalogue ends on this package's backends as on Celery's Redis backend."""
# ruff: noqa: ARG001  (a fixture asks for another by naming it among its arguments)

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import celery
import pytest
from celery._state import get_current_app

from django_celery_results.models import ChordCounter
from tests.integration import notes, traffic
from tests.integration.catalogue.canvases import ALL, CATALOGUE
from tests.integration.catalogue.differences import DIFFERENCES, PENDING, UNSETTLED
from tests.integration.combinations import COMPARED
from tests.integration.outcomes import Outcome, Recorder

if TYPE_CHECKING:
    from tests.integration.conftest import Lab, Workers

REFERENCE, *OURS = [one.backend for one in COMPARED]
#: Each canvas that ends differently, with each backend on which it does.
DIFFERENT = {(one.canvas, backend) for one in DIFFERENCES for backend in one.backends}
#: Seconds that the workers may take for the whole catalogue, on a slow machine too.
PATIENCE = 200
#: The outcome of each canvas, by backend and by the canvas's name.
Outcomes = dict[str, dict[str, Outcome]]

pytestmark = [
    pytest.mark.workers,
    pytest.mark.timeout(PATIENCE + 60),
    pytest.mark.service("redis"),
    pytest.mark.usefixtures("transactional_db"),
    pytest.mark.filterwarnings("ignore:task_allow_error_cb_on_chord_header"),
    # Celery 5.6 causes this warning with a newer redis-py.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]


class Run:
    """One run of the whole catalogue on one backend."""

    def __init__(self, lab: Lab) -> None:
        self.app = lab.app
        self.key = lab.key
        self.name = lab.combination.name
        self.results: dict[str, Any] = {}

    def submit(self) -> None:
        """Send every canvas."""
        self.app.set_current()
        with traffic.watched(self.name):
            for number, (name, build) in enumerate(CATALOGUE.items()):
                self.results[name] = build(f"{self.key}-{number}").apply_async()

    def outcomes(self) -> dict[str, Outcome]:
        """Wait until every message is processed, and return the outcome of each canvas."""
        notes.eventually(lambda: not traffic.under_way(self.name), PATIENCE)
        return {
            name: Recorder(self.app).outcome(self.results[name], f"{self.key}-{number}")
            for number, name in enumerate(CATALOGUE)
        }


@pytest.fixture(scope="module")
def outcomes(workers: Workers, shared_database: None) -> Outcomes:
    """Run the catalogue on all backends at the same time, and return the outcomes."""
    before: Any = get_current_app()
    try:
        runs = {one.backend: Run(workers.lab(one)) for one in COMPARED}
        for run in runs.values():
            run.submit()
        return {backend: run.outcomes() for backend, run in runs.items()}
    finally:
        before.set_current()


@pytest.mark.parametrize("backend", OURS)
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_canvas_ends_as_on_redis(outcomes: Outcomes, backend: str, name: str) -> None:
    """Values, states, errors, parents, children and the notes of callbacks are the same.

    A listed difference must exist; if it is gone, remove it from the list.
    """
    reference, ours = outcomes[REFERENCE][name], outcomes[backend][name]
    if (name, backend) in DIFFERENT:
        assert reference != ours
    else:
        assert reference == ours


def test_an_outcome_tells_everything(outcomes: Outcomes) -> None:
    """Without the state, value, header and notes, different outcomes could compare as equal."""
    states = {"state": "SUCCESS", "traceback": False}
    header = [
        {"id": "#2", "value": "'a'", **states},
        {"id": "#3", "value": "'b'", **states},
    ]
    body = {"id": "#0", "value": "['a', 'b']", **states, "parent": {"id": "#1", "group": header}}
    assert Outcome(body, ["['a', 'b']"]) == outcomes[REFERENCE]["chord"]


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="older releases leave more of them pending")
def test_what_never_ends_is_listed(outcomes: Outcomes) -> None:
    """The documentation names every canvas that stays pending."""
    names = [name for name, outcome in outcomes[REFERENCE].items() if outcome.is_pending]
    assert sorted(PENDING) == sorted(names)


def test_the_differences_are_of_the_catalogue() -> None:
    """Every row is about a canvas that the catalogue has."""
    assert set() == {one.canvas for one in (*DIFFERENCES, *UNSETTLED)} - set(ALL)


@pytest.mark.usefixtures("outcomes")
def test_no_finished_chord_is_left() -> None:
    """After the whole catalogue only chords that still wait for a part have rows."""
    assert not ChordCounter.objects.filter(count=0).exists()
