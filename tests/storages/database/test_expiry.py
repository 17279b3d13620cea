"""The storage ``django-db``: expiry batches in which the database fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import connection

from django_celery_results import hookimpl
from django_celery_results.models import TaskResult
from tests.backends.common import COMMITTED
from tests.backends.killing import SERVER, kill
from tests.due import make

if TYPE_CHECKING:
    from django_celery_results.records import ExpiryBatch
    from django_celery_results.testing.fixtures import MakeBackend, Register


class Saboteur:
    """Ends the connection between the second batch's lock and its deletion."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        self.gone: list[list[str]] = []

    @hookimpl
    def before_expire(self, batch: ExpiryBatch) -> None:
        """Record the batch."""
        self.seen.append(list(batch.ids))
        if len(self.seen) == 2:
            kill(connection)

    @hookimpl
    def after_expire(self, batch: ExpiryBatch) -> None:
        """Record the batch."""
        self.gone.append(list(batch.ids))


@COMMITTED
@SERVER
def test_a_batch_that_the_database_failed_is_made_again(
    make_backend: MakeBackend, registered: Register
) -> None:
    """Plugins see it twice before and once after; the earlier batches are not repeated."""
    saboteur = Saboteur()
    registered(saboteur, EXPIRE_BATCH_SIZE=2)
    make(5)
    make_backend(result_expires=60).cleanup()
    batches = [["t0", "t1"], ["t2", "t3"], ["t4"]]
    assert [batches[0], batches[1], batches[1], batches[2]] == saboteur.seen
    assert batches == saboteur.gone
    assert not TaskResult.objects.exists()
