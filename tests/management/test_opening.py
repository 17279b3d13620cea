"""The contents of a backend's database, for the commands of plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError
from django.db import OperationalError
from django.db.models import Q

from django_celery_results import hookimpl
from django_celery_results.management import database_contents, find_database_contents
from django_celery_results.models import TaskResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_celery_results.testing.fixtures import MakeBackend, Register

pytestmark = pytest.mark.django_db


def large(columns: Sequence[str]) -> Q:
    """Select the rows with the content that is meant."""
    return Q(**{columns[0]: "'large'"})


@pytest.mark.parametrize("get", [database_contents, find_database_contents])
def test_contents_are_those_of_the_rows_that_are_wanted(
    make_backend: MakeBackend, get: Any
) -> None:
    """In the database that the backend writes to."""
    TaskResult.objects.create(task_id="t1", result="'large'")
    TaskResult.objects.create(task_id="t2", result="'small'")
    assert ["t1"] == list(get(make_backend("django-db"), large).ids("task", 10))


def test_results_elsewhere_are_refused(make_backend: MakeBackend) -> None:
    """The message says where they are, and how to name a database."""
    with pytest.raises(CommandError, match=r"go to django-cache.*--database"):
        database_contents(make_backend("django-cache"), large)


def test_results_elsewhere_are_not_found(make_backend: MakeBackend) -> None:
    """A command that can do without a database goes on."""
    assert find_database_contents(make_backend("django-cache"), large) is None


class Weak:
    """Says that every error may pass: a plugin."""

    @hookimpl(wrapper=True)
    def can_retry(self) -> Any:
        """Say yes to everything."""
        yield
        return True


def test_batch_that_fails_is_repeated(make_backend: MakeBackend, registered: Register) -> None:
    """As long as the storage says that the error may pass."""
    registered(Weak())
    contents = database_contents(make_backend("django-db"), large)
    tries: list[str] = []

    def fail_once() -> str:
        tries.append("try")
        if len(tries) == 1:
            raise OperationalError("lock timeout")
        return "done"

    assert ("done", 2) == (contents.repeat(fail_once), len(tries))
