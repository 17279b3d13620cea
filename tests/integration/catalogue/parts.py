"""Building blocks of canvases; ``key`` is the name under which their tasks leave notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import canvas as celery_canvas
from celery import current_app

from tests.integration.tasks import delivered_twice, new_errback, note_value, old_errback

__all__ = ["Canvas", "linked", "noted", "stamped", "told", "told_of", "twice", "with_options"]

#: Builds a canvas from the key of its notes.
Canvas = Callable[[str], Any]


def noted(key: str) -> Any:
    """Return a task that notes its argument and returns it."""
    return note_value.s(key=key)


def told(sig: Any, key: str) -> Any:
    """Return the task with an errback of each kind: with one argument, and with three."""
    return sig.on_error(new_errback.s(key)).on_error(old_errback.s(key=key))


def told_of(canvas: Any, key: str, header_too: bool = False) -> Any:
    """Return the canvas with a ``link_error``, which can also apply to the headers of chords."""
    conf = current_app.conf
    before = conf.task_allow_error_cb_on_chord_header
    conf.task_allow_error_cb_on_chord_header = header_too
    try:
        canvas.link_error(old_errback.s(key=key))
    finally:
        conf.task_allow_error_cb_on_chord_header = before
    return canvas


def linked(canvas: Any, key: str) -> Any:
    """Return the canvas with a ``link`` to a task that notes its argument."""
    canvas.link(noted(key))
    return canvas


def twice(value: Any, key: str, part: str) -> Any:
    """Return a task whose message is delivered twice; ``part`` is unique within the canvas."""
    return delivered_twice.s(value, key=f"{key}-{part}")


def with_options(sig: Any, **options: Any) -> Any:
    """Return the task with options that the stubs do not declare."""
    return sig.set(**options)


# The stubs do not declare it.
StampingVisitor: Any = celery_canvas.StampingVisitor  # type: ignore[attr-defined]


class Stamper(StampingVisitor):  # type: ignore[misc]  # for the same reason
    """Stamps every signature."""

    def on_signature(self, _sig: Any, **_headers: Any) -> dict[str, Any]:
        """Return the stamp, which Celery passes on only if ``stamped_headers`` names it."""
        return {"color": "größer", "stamped_headers": ["color"]}


def stamped(canvas: Any, **stamps: str) -> Any:
    """Return the canvas with ``stamps``, or without any with those of :class:`Stamper`."""
    canvas.stamp(**(stamps or {"visitor": Stamper()}))
    return canvas
