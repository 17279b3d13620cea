"""The result backend that an action of ``manage.py celery_results`` works on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from ..exceptions import ResultsError

if TYPE_CHECKING:
    from django.core.management.base import CommandParser
    from django.db.models import Q

    from ..backends import ResultBackend
    from ..storages.database import DatabaseContents
    from ..storages.database.storage import DatabaseStorage

__all__ = [
    "add_database_argument",
    "database_contents",
    "database_storage",
    "find_database_contents",
    "open_backend",
]


def add_database_argument(parser: CommandParser) -> None:
    """Declare ``--database``."""
    parser.add_argument(
        "--database",
        metavar="ALIAS",
        help="work on this database instead of the site's result backend",
    )


def open_backend(database: str | None) -> ResultBackend:
    """Return the site's result backend, or a similar one on the database with this alias.

    Raises ``CommandError`` if the site's backend is not one of this package's, or cannot be
    opened.
    """
    # Imported here so that --help works even if a backend or a plugin is broken.
    from celery import current_app

    from ..backends import ResultBackend

    try:
        backend: Any = current_app.backend
        if database is not None:
            return _on_database(backend, database)
    except ResultsError as error:
        raise CommandError(str(error)) from error
    if not isinstance(backend, ResultBackend):
        raise CommandError(
            f"The site's result backend, {backend.as_uri()}, is not from django-celery-results. "
            "Name the database to work on with --database"
        )
    return backend


def database_contents(
    backend: ResultBackend, wanted: Callable[[Sequence[str]], Q]
) -> DatabaseContents:
    """Return the contents that the backend has in its database.

    ``wanted`` says which rows: see
    :class:`~django_celery_results.storages.database.DatabaseContents`. A batch that fails
    is repeated if the storage says that the error may pass.

    Raises ``CommandError`` if the backend's results are not in a database.

    .. versionadded:: 3.0
    """
    # Imported here: the plugin of a command is loaded before the models are.
    from ..storages.database import DatabaseContents

    repeat = backend.expirer.expiry(None).repeat
    return DatabaseContents(database_storage(backend), wanted, repeat)


def find_database_contents(
    backend: ResultBackend, wanted: Callable[[Sequence[str]], Q]
) -> DatabaseContents | None:
    """Return what :func:`database_contents` returns, or ``None`` instead of an error.

    .. versionadded:: 3.0
    """
    return database_contents(backend, wanted) if _is_in_database(backend) else None


def database_storage(backend: ResultBackend) -> DatabaseStorage:
    """Return the backend's storage; raise ``CommandError`` if it is not a database."""
    if not _is_in_database(backend):
        raise CommandError(
            f"The results of this site go to {backend.as_uri()}, not to a Django database. "
            "If a database holds results too, name it with --database"
        )
    storage: DatabaseStorage = backend.storage
    return storage


def _is_in_database(backend: ResultBackend) -> bool:
    from ..storages.database.storage import DatabaseStorage

    return isinstance(backend.storage, DatabaseStorage)


def _on_database(backend: Any, alias: str) -> ResultBackend:
    from ..backends import DatabaseBackend

    # A site's subclass may have its own models.
    kind = type(backend) if isinstance(backend, DatabaseBackend) else DatabaseBackend
    return kind(backend.app, url=f"django-db://{alias}")
