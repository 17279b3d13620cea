"""Hypothesis tests: no column holds a secret, and all other values stay as they were."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from celery.app.task import Context
from celery.utils.saferepr import saferepr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_celery_results.models import TaskResult
from django_celery_results.records import TaskRecord
from django_celery_results_redact.masking import TaskMasking

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend

pytestmark = pytest.mark.django_db

MASK = "********"
#: The same as in the core's own property tests.
EXAMPLES = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Holder:
    """An object that contains another value."""

    name: str
    held: Any


#: Text that no rule takes for a secret, and that no secret contains.
HARMLESS = st.text("abc xyz", max_size=8)
#: Text that is recognised if it was not masked: nothing else begins and ends like it.
SECRETS = st.text(st.characters(codec=None), max_size=12).map("Q7{}Q7".format)
KEYS = st.sampled_from(["password", "api_key", "X-Auth-Token", "clientSecret", "Authorization"])


@dataclass
class Case:
    """A value that contains a secret, and the value expected after masking."""

    value: Any
    expected: Any
    secret: str


@st.composite
def cases(draw: st.DrawFn, objects: bool = True) -> Case:
    """A secret under one of the keys, inside a few layers of harmless values."""
    secret, key, beside = draw(SECRETS), draw(KEYS), draw(st.dictionaries(HARMLESS, HARMLESS))
    held = draw(st.sampled_from([secret, [secret], {"inner": secret}]))
    case = Case({**beside, key: held}, {**beside, key: MASK}, secret)
    for layer in draw(st.lists(st.sampled_from(range(4 if objects else 3)), max_size=4)):
        near = draw(HARMLESS)
        case.value, case.expected = (
            wrapped(one, layer, near) for one in (case.value, case.expected)
        )
    return case


def wrapped(value: Any, layer: int, near: str) -> Any:
    """Return a value wrapped in another one."""
    wraps: list[Any] = [[near, value, 5], (value,), {near: value, 1: near}, Holder(near, value)]
    return wraps[layer]


def spellings(secret: str) -> list[str]:
    """Return the ways in which a secret may be written."""
    return [secret, repr(secret)[1:-1], saferepr(secret)[1:-1]]


@EXAMPLES
@given(case=cases())
def test_secret_alone_is_masked(case: Case) -> None:
    """The rest stays equal and of the same type, and the task's own value is not touched."""
    before = deepcopy(case.value)
    record = TaskRecord(task_id="t", status="SUCCESS", result=case.value, meta={"m": case.value})
    TaskMasking(record).apply()
    assert (case.expected, {"m": case.expected}) == (record.result, record.meta)
    assert before == case.value


@EXAMPLES
@given(case=cases(objects=False), data=st.data())
@pytest.mark.parametrize("serializer", ["json", "pickle"])
def test_secret_is_in_no_column(
    make_backend: MakeBackend, serializer: str, case: Case, data: st.DataObject
) -> None:
    """The arguments hold it under its name; the exception and its traceback repeat it."""
    backend = make_backend(
        result_extended=True, result_serializer=serializer, result_accept_content=[serializer]
    )
    limit = data.draw(st.sampled_from([None, 30, 1024]))
    task_id = str(uuid4())
    request = Context(
        {
            "id": task_id,
            "task": "redact.unknown",
            "args": (case.value,),
            "kwargs": {"a": case.value},
            "argsrepr": saferepr((case.value,), limit),
            "kwargsrepr": saferepr({"a": case.value}, limit),
            "meta": {"token": case.secret},
        }
    )
    error = ValueError(f"no {case.secret} here", {"secret": case.secret})
    lines = f"Traceback\n  a = 1\nValueError: no {case.secret} here, {case.secret!r}"
    backend.store_result(task_id, error, "FAILURE", traceback=lines, request=request)
    row = TaskResult.objects.get(task_id=task_id)
    meta = backend.get_task_meta(task_id, cache=False)
    stored = [repr([getattr(row, one.attname) for one in row._meta.concrete_fields]), repr(meta)]
    assert [] == [one for one in spellings(case.secret) for text in stored if one in text]
    assert (ValueError, f"no {MASK} here") == (type(meta["result"]), meta["result"].args[0])


@EXAMPLES
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-1000, 1000) | HARMLESS,
        lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(HARMLESS, inner),
        max_leaves=12,
    )
)
def test_value_without_secrets_is_left_alone(value: Any) -> None:
    """Both the value itself and its repr."""
    text = saferepr(value)
    record = TaskRecord(task_id="t", status="SUCCESS", result=value, args=text, kwargs=text)
    TaskMasking(record).apply()
    assert record.result is value
    assert (text, text) == (record.args, record.kwargs)
