"""Chords in the file: distinct parts are counted, and one caller gets to send the body."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django_celery_results.records import ChordPart, ChordProgress, ChordRecord

if TYPE_CHECKING:
    from .store import Store


class Chords:
    """The chords of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def start(self, chord: ChordRecord) -> bool:
        """Write the chord; if it is already there, leave it alone and return False."""
        values = (chord.group_id, chord.size, pickle.dumps(list(chord.results)))
        with self.store.transaction() as connection:
            statement = "INSERT OR IGNORE INTO chords VALUES (?, ?, ?, 0)"
            return connection.execute(statement, values).rowcount > 0

    def resize(self, group_id: str, size: int | None, added: Sequence[Any]) -> bool:
        """Set the size, or add results; return whether the chord exists."""
        with self.store.transaction() as connection:
            chord = find(connection, group_id)
            if chord is None:
                return False
            size = (chord[0] if size is None else size) + len(added)
            results = pickle.dumps([*pickle.loads(chord[1]), *added])
            statement = "UPDATE chords SET size = ?, results = ? WHERE id = ?"
            connection.execute(statement, (size, results, group_id))
        return True

    def part_returned(self, part: ChordPart) -> ChordProgress | None:
        """Count the part once; claim the body if it was the last missing part."""
        with self.store.transaction() as connection:
            chord = find(connection, part.group_id)
            if chord is None:
                return None
            values = (part.group_id, part.task_id, pickle.dumps(part))
            connection.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", values)
            query = "SELECT record FROM parts WHERE chord = ?"
            parts = [pickle.loads(row[0]) for row in connection.execute(query, [part.group_id])]
            size, results, claimed = chord
            waiting = size - len(parts)
            if waiting or claimed:
                return ChordProgress(group_id=part.group_id, waiting=waiting)
            connection.execute("UPDATE chords SET claimed = 1 WHERE id = ?", [part.group_id])
        return ChordProgress(
            group_id=part.group_id,
            waiting=0,
            claimed=True,
            results=pickle.loads(results),
            parts=[one for one in parts if one.contents is not None],
        )

    def finish(self, group_id: str) -> bool:
        """Delete the chord and its parts; return whether it was there."""
        with self.store.transaction() as connection:
            connection.execute("DELETE FROM parts WHERE chord = ?", [group_id])
            return connection.execute("DELETE FROM chords WHERE id = ?", [group_id]).rowcount > 0


def find(connection: sqlite3.Connection, group_id: str) -> tuple[int, bytes, int] | None:
    """Return the size, the pickled results and the claim of a chord, or None."""
    query = "SELECT size, results, claimed FROM chords WHERE id = ?"
    found: tuple[int, bytes, int] | None = connection.execute(query, [group_id]).fetchone()
    return found
