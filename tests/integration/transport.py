"""Kombu's file system transport, changed so that only complete messages are visible.

Kombu opens the file under its final name and then writes it. A consumer that polls fifty times a
second sometimes takes the file before the content is in it, and dies of invalid JSON.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from kombu.transport import filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """A channel that gives a message its final name only once it is written."""

    # The stubs of base and subclass disagree about the name of the second argument.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]
        name = f"{time.monotonic_ns()}_{uuid4()}"
        folder = Path(self.data_folder_out)
        # Without the queue's name, which consumers look for anywhere in a file's name.
        hidden = folder / f"{name}.partial"
        hidden.write_text(dumps(payload))
        hidden.rename(folder / f"{name}.{queue}.msg")


class Transport(filesystem.Transport):
    """The transport ``atomic-filesystem``."""

    Channel = Channel
