"""Writing a row by saving a model instance, for a site whose code listens to its signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import DatabaseError, IntegrityError, connections, models, transaction
from django.db.models import F
from django.db.models.signals import post_save, pre_save

if TYPE_CHECKING:
    from .upserts import WriteRule

__all__ = ["has_listeners", "is_there", "save_row"]

_M = TypeVar("_M", bound=models.Model)

#: Django's own method, which a model of the site's may override.
_SAVE = models.Model.save


def has_listeners(model: type[models.Model]) -> bool:
    """Return whether saving a row calls code of the site: a receiver, or the model's ``save``."""
    return (
        post_save.has_listeners(model) or pre_save.has_listeners(model) or model.save is not _SAVE
    )


def is_there(rows: models.QuerySet[_M]) -> bool:
    """Return whether there is such a row now, whatever the caller's transaction has seen."""
    if connections[rows.db].in_atomic_block:
        # The caller's snapshot may be older than the row, but a locking read sees the row.
        rows = rows.select_for_update()
    return bool(rows.exists())


def save_row(
    rows: models.QuerySet[_M],
    rule: WriteRule,
    row: Mapping[str, Any],
    insert: Callable[..., object],
) -> bool:
    """Write ``row`` by saving an instance, so that receivers of the signals can change it.

    An existing row is locked first, so that ``rule`` holds when several processes write.
    ``insert`` saves a new row. Return whether the row was written.
    """
    rows = rows.filter(**{rule.key: row[rule.key]})
    if not rows.exists():
        try:
            insert(**row)
        except IntegrityError:
            # Another process has inserted the row since, or the row itself was refused.
            if not is_there(rows):
                raise
        else:
            return True
    return not rule.insert_only and _save_locked(rows, rule, row, insert)


def _save_locked(
    rows: models.QuerySet[_M],
    rule: WriteRule,
    row: Mapping[str, Any],
    insert: Callable[..., object],
) -> bool:
    failure: Exception | None = None
    with transaction.atomic(using=rows.db):
        instance = _lock(rows, rule)
        if instance is None:
            # It was deleted since.
            insert(**row)
            return True
        if rule.final is not None and getattr(instance, rule.final[0]) == rule.final[1]:
            return False
        for name, value in _changes(instance, rule, row):
            setattr(instance, name, value)
        try:
            instance.save(using=rows.db)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - raised below
            # A receiver of post_save failed. As with any save, the row itself is written.
            failure = error
    if failure is not None:
        raise failure
    return True


def _lock(rows: models.QuerySet[_M], rule: WriteRule) -> _M | None:
    if connections[rows.db].features.has_select_for_update:
        rows = rows.select_for_update()
    else:
        # SQLite has one lock, which the first statement that may write takes.
        rows.update(**{rule.key: F(rule.key)})
    instance: _M | None = rows.first()
    return instance


def _changes(
    instance: models.Model, rule: WriteRule, row: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield the columns that ``rule`` lets ``row`` change in an existing row."""
    same_form = all(getattr(instance, one) == row.get(one) for one in rule.form)
    kept = rule.kept | rule.kept_in_form if same_form else rule.kept
    for name, value in row.items():
        if value is not None or name not in kept:
            yield name, value
