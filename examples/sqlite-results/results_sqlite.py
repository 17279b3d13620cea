"""Stores results in a SQLite file: ``sqlite-results:///var/lib/site/results.sqlite3``.

A complete storage plugin in one module. It uses only public names of
django-celery-results, and nothing of Django or Celery.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from django_celery_results import hookimpl
from django_celery_results.conf import results_settings
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.records import (
    ChordPart,
    ChordProgress,
    Contents,
    ExpiryBatch,
    StoredGroup,
    StoredTask,
    UnfinishedChord,
)

if TYPE_CHECKING:
    from django_celery_results.records import ChordRecord, Expiry, Retention, StorageLocation

#: The plugin's name, which is also the scheme of its URLs.
django_celery_results_name = "sqlite-results"

SCHEMA = """
    PRAGMA journal_mode = WAL;
    BEGIN;
    CREATE TABLE IF NOT EXISTS task (
        id TEXT PRIMARY KEY, status TEXT NOT NULL, written REAL NOT NULL, expires REAL,
        name TEXT, worker TEXT, periodic_task_name TEXT, date_done TEXT,
        result TEXT, traceback TEXT, meta TEXT, args TEXT, kwargs TEXT,
        content_type TEXT NOT NULL, content_encoding TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS saved_group (
        id TEXT PRIMARY KEY, written REAL NOT NULL, result TEXT,
        content_type TEXT NOT NULL, content_encoding TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS chord (
        id TEXT PRIMARY KEY, size INTEGER NOT NULL, results TEXT NOT NULL, body TEXT,
        begun REAL NOT NULL, claimed REAL, claimant TEXT
    );
    CREATE TABLE IF NOT EXISTS part (
        chord TEXT NOT NULL, id TEXT NOT NULL, status TEXT NOT NULL, place INTEGER,
        contents TEXT, PRIMARY KEY (chord, id)
    );
    COMMIT;
"""

FACTS = ("name", "worker", "periodic_task_name")
FIELDS = ("result", "traceback", "meta", "args", "kwargs")
TYPES = ("content_type", "content_encoding")
COLUMNS = ("id", "status", "written", "expires", "date_done", *FACTS, *FIELDS, *TYPES)
#: Columns that keep their value if a later state does not set one: ``StoredTask.with_known``.
#: Arguments stay only under the same content type and encoding; others could not be decoded.
ALIKE = "(content_type, content_encoding) = (excluded.content_type, excluded.content_encoding)"
KEPT = {name: name for name in FACTS} | {
    name: f"CASE WHEN {ALIKE} THEN {name} END" for name in ("args", "kwargs")
}

# These rules are part of the statement, so that no other worker can write in between.
STORE = "INSERT INTO task ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE SET {} WHERE {}".format(
    ", ".join(COLUMNS),
    ", ".join(f":{name}" for name in COLUMNS),
    ", ".join(
        f"{name} = coalesce(excluded.{name}, {KEPT[name]})"
        if name in KEPT
        else f"{name} = excluded.{name}"
        for name in COLUMNS[1:]
    ),
    "status <> 'SUCCESS' AND NOT :only_if_absent",
)
SAVE_GROUP = "INSERT OR REPLACE INTO saved_group VALUES (:id, :written, :result, :type, :encoding)"
#: Rows that may expire, by table. Unfinished tasks stay: a process may be waiting for them.
DUE = {
    "task": "(expires <= :now OR expires IS NULL AND written < :now - :age AND status IN"
    " ('PENDING', 'SUCCESS', 'FAILURE', 'REVOKED', 'REJECTED', 'IGNORED'))",
    "saved_group": "written < :now - :age",
}
#: SQLite accepts at least this many values in a statement.
MOST_VALUES = 900


@dataclass(frozen=True)
class Store:
    """The file, opened anew for each transaction, so that threads and forks are safe."""

    path: Path

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection in a transaction that excludes other writers."""
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def rows(self, statement: str, values: Any = ()) -> list[sqlite3.Row]:
        """Return the rows that ``statement`` selects, or returns after writing."""
        with self.transaction() as connection:
            return connection.execute(statement, values).fetchall()

    def write(self, statement: str, values: Any = ()) -> bool:
        """Return whether ``statement`` changed anything."""
        with self.transaction() as connection:
            return connection.execute(statement, values).rowcount > 0


@hookimpl
def open_storage(location: StorageLocation) -> Store:
    """Open the file in the URL, and create it if it does not exist."""
    path = Path("/", location.path)
    if location.alias or location.options or not (location.path and path.parent.is_dir()):
        raise BackendMisconfigured(
            f"sqlite-results:// cannot open {location!r}: it takes only the absolute path of a "
            "file in an existing directory, such as sqlite-results:///var/lib/site/results.sqlite3"
        )
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.executescript(SCHEMA)
    return Store(path)


@hookimpl
def can_retry(error: Exception) -> bool:
    """Retry if the file was locked for too long."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


# -- Tasks -----------------------------------------------------------------------------


@hookimpl
def store_task(storage: Store, task: StoredTask) -> bool:
    """Write the task; it is on the disk when this returns."""
    facts: dict[str, Any] = {name: getattr(task, name) for name in ("status", *FACTS)}
    return storage.write(
        STORE,
        {
            **facts,
            **dict.fromkeys(FIELDS),
            **task.contents.fields,
            "id": task.task_id,
            "only_if_absent": task.only_if_absent,
            "written": time.time(),
            "expires": _expires(task.retention),
            "date_done": task.date_done and task.date_done.isoformat(),
            "content_type": task.contents.content_type,
            "content_encoding": task.contents.content_encoding,
        },
    )


def _expires(retention: Retention | None) -> float | None:
    if retention is None:
        return None
    return float("inf") if retention.seconds is None else time.time() + retention.seconds


@hookimpl
def load_tasks(storage: Store, task_ids: Sequence[str]) -> list[StoredTask]:
    """Read the tasks."""
    found: list[sqlite3.Row] = []
    for start in range(0, len(task_ids), MOST_VALUES):
        chunk = task_ids[start : start + MOST_VALUES]
        found += storage.rows(f"SELECT * FROM task WHERE id IN ({_marks(chunk)})", chunk)
    return [_task(row) for row in found]


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _task(row: sqlite3.Row) -> StoredTask:
    facts: dict[str, Any] = {name: row[name] for name in ("status", *FACTS)}
    return StoredTask(
        task_id=row["id"],
        date_done=row["date_done"] and datetime.fromisoformat(row["date_done"]),
        contents=_contents(row, FIELDS),
        **facts,
    )


def _contents(row: sqlite3.Row, fields: Sequence[str]) -> Contents:
    types = {name: row[name] for name in TYPES}
    return Contents(fields={name: row[name] for name in fields}, **types)


@hookimpl
def forget_task(storage: Store, task_id: str) -> bool:
    """Delete the task."""
    return storage.write("DELETE FROM task WHERE id = ?", [task_id])


# -- Groups ----------------------------------------------------------------------------


@hookimpl
def save_group(storage: Store, group: StoredGroup) -> bool:
    """Write the group, replacing one with the same id."""
    values = {
        "id": group.group_id,
        "written": time.time(),
        "result": group.contents.fields["result"],
        "type": group.contents.content_type,
        "encoding": group.contents.content_encoding,
    }
    return storage.write(SAVE_GROUP, values)


@hookimpl
def load_group(storage: Store, group_id: str) -> StoredGroup | None:
    """Read the group."""
    rows = storage.rows("SELECT * FROM saved_group WHERE id = ?", [group_id])
    return _group(rows[0]) if rows else None


def _group(row: sqlite3.Row) -> StoredGroup:
    written = datetime.fromtimestamp(row["written"], timezone.utc)
    return StoredGroup(group_id=row["id"], contents=_contents(row, ["result"]), date_done=written)


@hookimpl
def forget_group(storage: Store, group_id: str) -> bool:
    """Delete the group."""
    return storage.write("DELETE FROM saved_group WHERE id = ?", [group_id])


# -- Chords ----------------------------------------------------------------------------


@hookimpl
def start_chord(storage: Store, chord: ChordRecord) -> bool:
    """Write the chord, unless it exists already."""
    statement = "INSERT OR IGNORE INTO chord VALUES (?, ?, ?, ?, ?, NULL, NULL)"
    results = json.dumps(chord.results)
    values = (chord.group_id, chord.size, results, _dumps(chord.body), time.time())
    return storage.write(statement, values)


@hookimpl
def resize_chord(storage: Store, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
    """Set the size, and add results to the header."""
    with storage.transaction() as connection:
        chord = _chord(connection, group_id)
        if chord is None or (not added and size == chord["size"]):
            return False
        size = (chord["size"] if size is None else size) + len(added)
        results = json.dumps([*json.loads(chord["results"]), *added])
        statement = "UPDATE chord SET size = ?, results = ? WHERE id = ?"
        connection.execute(statement, (size, results, group_id))
    return True


@hookimpl
def chord_part_returned(storage: Store, part: ChordPart) -> ChordProgress | None:
    """Count the part once; let the part that completes the chord claim the body."""
    with storage.transaction() as connection:
        chord = _chord(connection, part.group_id)
        if chord is None:
            return None
        values = (part.group_id, part.task_id, part.status, part.group_index)
        statement = "INSERT OR IGNORE INTO part VALUES (?, ?, ?, ?, ?)"
        connection.execute(statement, (*values, _dumps(part.contents)))
        parts = _parts(connection, part.group_id)
        progress = ChordProgress(group_id=part.group_id, waiting=max(chord["size"] - len(parts), 0))
        if progress.waiting or not _may_claim(chord, part.claimant):
            return progress
        statement = "UPDATE chord SET claimed = ?, claimant = ? WHERE id = ?"
        connection.execute(statement, (time.time(), part.claimant, part.group_id))
    return replace(
        progress,
        claimed=True,
        reclaimed=chord["claimed"] is not None,
        results=json.loads(chord["results"]),
        parts=[one for one in parts if one.contents is not None],
    )


def _may_claim(chord: sqlite3.Row, claimant: str | None) -> bool:
    if chord["claimed"] is None or (claimant is not None and chord["claimant"] == claimant):
        return True
    # The claim has lapsed: its worker must have died, or the chord would be finished.
    return bool(chord["claimed"] <= time.time() - results_settings.chord_claim_timeout)


def _chord(connection: sqlite3.Connection, group_id: str) -> sqlite3.Row | None:
    query = "SELECT * FROM chord WHERE id = ?"
    row: sqlite3.Row | None = connection.execute(query, [group_id]).fetchone()
    return row


def _parts(connection: sqlite3.Connection, group_id: str) -> list[ChordPart]:
    query = "SELECT * FROM part WHERE chord = ? ORDER BY rowid"
    return [
        ChordPart(
            group_id=group_id,
            task_id=row["id"],
            status=row["status"],
            group_index=row["place"],
            contents=_loads(row["contents"]),
        )
        for row in connection.execute(query, [group_id])
    ]


@hookimpl
def finish_chord(storage: Store, group_id: str) -> bool:
    """Delete the chord and its parts."""
    with storage.transaction() as connection:
        connection.execute("DELETE FROM part WHERE chord = ?", [group_id])
        return connection.execute("DELETE FROM chord WHERE id = ?", [group_id]).rowcount > 0


@hookimpl
def unfinished_chords(storage: Store) -> Iterator[UnfinishedChord]:
    """Yield the unfinished chords, and read each one's parts only when it is reached."""
    for row in storage.rows("SELECT * FROM chord ORDER BY begun"):
        counted = storage.rows("SELECT id FROM part WHERE chord = ?", [row["id"]])
        yield UnfinishedChord(
            group_id=row["id"],
            results=json.loads(row["results"]),
            counted=[part["id"] for part in counted],
            waiting=max(row["size"] - len(counted), 0),
            body=_loads(row["body"]),
            date_created=_date(row["begun"]),
            date_claimed=_date(row["claimed"]),
        )


def _date(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def _dumps(contents: Contents | None) -> str | None:
    if contents is None:
        return None
    types = {name: getattr(contents, name) for name in TYPES}
    return json.dumps({"fields": dict(contents.fields), **types})


def _loads(text: str | None) -> Contents | None:
    return None if text is None else Contents(**json.loads(text))


# -- Expiry ----------------------------------------------------------------------------


@hookimpl
def expire_results(storage: Store, expiry: Expiry) -> int:
    """Delete all due rows, with one transaction per batch."""
    due = {"now": time.time(), "age": expiry.expires}
    return sum(
        size
        for kind, table in (("task", "task"), ("group", "saved_group"))
        for size in _expire(storage, expiry, kind, table, due)
    )


def _expire(
    storage: Store, expiry: Expiry, kind: Any, table: str, due: Mapping[str, Any]
) -> Iterator[int]:
    """Yield the number of rows deleted in each batch; skip a batch that has to be kept."""
    query = f"SELECT * FROM {table} WHERE {DUE[table]} AND id > :last ORDER BY id LIMIT :size"
    last, size = "", min(expiry.batch_size, MOST_VALUES)
    while rows := storage.rows(query, {**due, "last": last, "size": size}):
        last = rows[-1]["id"]
        batch = _batch(kind, rows)
        if expiry.before is None or expiry.before(batch):
            gone = expiry.repeat(partial(_delete, storage, table, due, batch.ids))
            if gone and expiry.after is not None:
                expiry.after(_batch(kind, [row for row in rows if row["id"] in gone]))
            yield len(gone)
        time.sleep(expiry.batch_pause)


def _batch(kind: Literal["task", "group"], rows: Sequence[sqlite3.Row]) -> ExpiryBatch:
    to_record: Any = _task if kind == "task" else _group
    return ExpiryBatch(
        storage=django_celery_results_name,
        kind=kind,
        ids=[row["id"] for row in rows],
        records=[to_record(row) for row in rows],
    )


def _delete(storage: Store, table: str, due: Mapping[str, Any], ids: Sequence[str]) -> set[str]:
    """Delete and return those of ``ids`` that are still due; another cleaner may have run."""
    names = {f"id{number}": one for number, one in enumerate(ids)}
    listed = ", ".join(f":{name}" for name in names)
    statement = f"DELETE FROM {table} WHERE id IN ({listed}) AND {DUE[table]} RETURNING id"
    return {row["id"] for row in storage.rows(statement, {**due, **names})}
