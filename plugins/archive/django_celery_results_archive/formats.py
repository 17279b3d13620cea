"""The formats: rows as the bytes of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any, TypeAlias

from .rows import DATES, VALUES

__all__ = ["FORMATS", "Format", "Row", "to_lines"]

Row: TypeAlias = Mapping[str, Any]


def _default(value: datetime) -> str:
    return value.isoformat()


def to_json(value: Any) -> str:
    """Return JSON, without escaping characters that UTF-8 can encode."""
    return json.dumps(value, ensure_ascii=False, default=_default)


def to_lines(rows: Sequence[Row]) -> bytes:
    """Return JSON Lines, with one object per line."""
    return "".join(f"{to_json(row)}\n" for row in rows).encode()


def to_parquet(rows: Sequence[Row]) -> bytes:
    """Return a Parquet file, in which values of variable type are JSON text."""
    import pyarrow
    from pyarrow import parquet

    kinds = dict.fromkeys(DATES, pyarrow.timestamp("us", tz="UTC"))
    kinds["retries"] = pyarrow.int64()
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in rows[0]])
    table = pyarrow.Table.from_pylist([_cells(row) for row in rows], schema=schema)
    file = BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _cells(row: Row) -> dict[str, Any]:
    return {
        name: to_json(value) if name in VALUES and value is not None else value
        for name, value in row.items()
    }


@dataclass(frozen=True, kw_only=True)
class Format:
    """A file format."""

    #: The suffix of its files' names.
    suffix: str
    encode: Callable[[Sequence[Row]], bytes]
    #: The module that it needs, if any.
    library: str = ""


FORMATS: Mapping[str, Format] = {
    "jsonl": Format(suffix="jsonl", encode=to_lines),
    "parquet": Format(suffix="parquet", encode=to_parquet, library="pyarrow"),
}
