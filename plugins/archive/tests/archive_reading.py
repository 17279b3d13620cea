"""Reading the archive's files, as shown in the documentation."""

import json

import duckdb
import pandas


def with_pandas(path: str) -> pandas.DataFrame:
    """Read one JSON Lines or Parquet file."""
    if path.endswith(".parquet"):
        rows = pandas.read_parquet(path)
        # Values may have any type, so in a Parquet column they are JSON.
        return rows.assign(result=[json.loads(one) for one in rows["result"]])
    rows = pandas.read_json(path, lines=True)
    return rows.assign(date_done=pandas.to_datetime(rows["date_done"]))


def with_duckdb(folder: str) -> list[tuple[str, str, int]]:
    """Count tasks over all JSON Lines files in a folder, without loading them."""
    query = """
        SELECT name, status, count(DISTINCT task_id) AS tasks
        FROM read_json(? || '/*/*/*.jsonl*', union_by_name = true)
        GROUP BY ALL
    """
    return duckdb.execute(query, [folder]).fetchall()
