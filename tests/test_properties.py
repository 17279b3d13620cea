"""Properties that hold for any text, value or order of events, tested with Hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from celery import Celery, states
from django.core.cache import caches
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_celery_results.models import TaskResult
from django_celery_results.records import ChordPart

from .rows import JSON, row

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db

#: Every run uses the same examples, so that a failure is reproducible everywhere. Each example
#: has a new id, so examples can share a transaction. The time that one takes is not limited.
EXAMPLES = settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: Any text, including characters that are difficult for databases and encodings.
TEXT = st.text(st.characters(codec=None), max_size=300) | st.sampled_from(
    ["\x00", "\ud800", "😀", "\ufeff", "'; --", "%s", "\\", "\u2028", "a" * 5000]
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(params=["django-db", "django-cache", "django-cache://?serializer=json"])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A backend on the database, and on a cache with and without a serializer."""
    app = Celery("properties", set_as_current=False)
    app.conf.update(result_backend=request.param, result_extended=True, broker_url="memory://")
    yield app.backend
    caches["default"].clear()


@EXAMPLES
@given(value=VALUES)
def test_any_value_comes_back(backend: Any, value: Any) -> None:
    """Values are unchanged."""
    task_id = str(uuid4())
    backend.store_result(task_id, value, states.SUCCESS)
    meta = backend.get_task_meta(task_id, cache=False)
    assert (states.SUCCESS, value) == (meta["status"], meta["result"])


@EXAMPLES
@given(message=TEXT, traceback=TEXT)
def test_any_failure_comes_back(backend: Any, message: str, traceback: str) -> None:
    """The message is unchanged; characters that no column holds are spelt out in the traceback."""
    task_id = str(uuid4())
    backend.store_result(task_id, ValueError(message), states.FAILURE, traceback=traceback)
    meta = backend.get_task_meta(task_id, cache=False)
    assert (states.FAILURE, (message,)) == (meta["status"], meta["result"].args)
    assert meta["traceback"] in (traceback, spelt(traceback))


def spelt(text: str) -> str:
    """Return ``text`` with NUL and surrogates spelt out."""
    return "".join(
        f"\\x{ord(one):02x}" if one == "\x00" else f"\\u{ord(one):04x}" if is_lone(one) else one
        for one in text
    )


def is_lone(character: str) -> bool:
    """Return whether the character is half of a surrogate pair."""
    return "\ud800" <= character <= "\udfff"


@EXAMPLES
@given(name=TEXT, worker=TEXT, args=TEXT)
def test_any_name_is_stored(backend: Any, name: str, worker: str, args: str) -> None:
    """A name may be shortened, but no result is lost because of it."""
    from celery.app.task import Context

    task_id = str(uuid4())
    request = Context({"task": name, "hostname": worker, "argsrepr": args})
    backend.store_result(task_id, 1, states.SUCCESS, request=request)
    meta = backend.get_task_meta(task_id, cache=False)
    # A cache keeps the arguments themselves, and the message here has none.
    kept = args if backend.storage_name == "django-db" else None
    assert (1, kept) == (meta["result"], meta["args"])


# -- States --------------------------------------------------------------------------

STATES = st.sampled_from(
    [states.PENDING, states.STARTED, states.RETRY, states.FAILURE, states.SUCCESS, "PROGRESS"]
)
WRITES = st.lists(
    st.fixed_dictionaries(
        {"status": STATES, "result": st.integers(0, 99).map(str) | st.none()},
        optional={"worker": st.sampled_from(["w1", "w2"]), "task_name": st.just("add")},
    ),
    min_size=1,
    max_size=8,
)


def expected_row(writes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the values of the row after ``writes``, by the documented rules."""
    stored: dict[str, Any] = {}
    for write in writes:
        is_empty = write["status"] == states.PENDING and write["result"] is None
        may_write = not stored or not (is_empty or stored["status"] == states.SUCCESS)
        if may_write:
            known = {name: stored.get(name) for name in ("worker", "task_name")}
            stored = {**known, **write}
    return stored


@EXAMPLES
@given(writes=WRITES)
def test_any_order_of_states_keeps_the_rules(writes: list[dict[str, Any]]) -> None:
    """SUCCESS is final, an empty PENDING overwrites nothing, and known values stay known."""
    task_id = str(uuid4())
    for write in writes:
        TaskResult.objects.write(task_id, {**JSON, **write})
    stored = row(task_id)
    expected = expected_row(writes)
    assert expected == {name: getattr(stored, name) for name in expected}


@EXAMPLES
@given(writes=WRITES)
def test_what_was_written_says_so(writes: list[dict[str, Any]]) -> None:
    """The return value of each write agrees with the row."""
    task_id = str(uuid4())
    for number, write in enumerate(writes):
        written = TaskResult.objects.write(task_id, {**JSON, **write, "meta": str(number)})
        assert written is (row(task_id).meta == str(number))


# -- Chords --------------------------------------------------------------------------


@EXAMPLES
@given(data=st.data(), size=st.integers(1, 6))
def test_any_order_of_parts_claims_the_body_once(backend: Any, data: Any, size: int) -> None:
    """The claim comes with the last part, however often each part returns."""
    group_id = str(uuid4())
    parts = [f"{group_id}-{number}" for number in range(size)]
    backend.apply_chord((group_id, [backend.app.AsyncResult(one) for one in parts]), body(backend))
    again = data.draw(st.lists(st.sampled_from(parts), max_size=6))
    returned: set[str] = set()
    for task_id in data.draw(st.permutations([*parts, *again])):
        claimed = returns(backend, group_id, task_id)
        is_last = returned | {task_id} == set(parts) and returned != set(parts)
        returned.add(task_id)
        assert is_last is claimed


def body(backend: Any) -> Any:
    """Return a signature."""
    return backend.app.signature("tests.body", task_id=str(uuid4()))


def returns(backend: Any, group_id: str, task_id: str) -> bool:
    """Return a part; return whether its return claims the body."""
    part = ChordPart(group_id=group_id, task_id=task_id, status=states.SUCCESS)
    progress = backend.hooks.call("chord_part_returned", storage=backend.storage, part=part)
    return bool(progress and progress.claimed)
