"""Tasks that have something to hide: a password, a card, and words that only look harmless."""

from __future__ import annotations

import random
from typing import Any

from celery import shared_task

__all__ = ["CARD", "MASK", "NOTE", "PASSWORD", "PIN", "written"]

#: What ``redact`` knows, by its name, by what it looks like, and by its settings.
PASSWORD, CARD, PIN = "hunter2-in-the-corn", "4111 1111 1111 1111", "pin-07-31"
MASK = "********"
#: What it does not know: only ``fernet`` hides it.
NOTE = "the patient in room nine"


@shared_task
def login(user: str, *, password: str, pin: str, note: str) -> dict[str, Any]:
    """Return all that it was given."""
    return {"user": user, "password": password, "pin": pin, "note": note, "card": CARD}


@shared_task
def refuse(user: str, *, password: str, note: str) -> None:
    """Say too much in an exception."""
    raise PermissionError(f"{user} came with {password}, and paid with {CARD}: {note}")


@shared_task(bind=True)
def insist(self: Any, *, password: str) -> str:
    """Say too much in a retry."""
    if not self.request.retries:
        # Celery sends the next try before it stores RETRY for this one.
        raise self.retry(exc=PermissionError(f"not with {password}"), countdown=0.3)
    return password


def written(seed: int, api_key: str, note: str) -> dict[str, Any]:
    """What is large, and compresses to no less than half."""
    # Letters alone: among digits there might be what looks like a card.
    text = "".join(random.Random(seed).choices("abcdefghijklmnop", k=20_000))
    return {"text": text, "api_key": api_key, "note": note, "card": CARD}


@shared_task
def report(seed: int, *, api_key: str, note: str) -> dict[str, Any]:
    """Return a lot."""
    return written(seed, api_key, note)


@shared_task
def brief_report(seed: int, *, api_key: str, note: str) -> dict[str, Any]:
    """Return a lot that is not kept."""
    return written(seed, api_key, note)


@shared_task
def passing_report(seed: int, *, api_key: str, note: str) -> dict[str, Any]:
    """Return a lot that somebody will forget."""
    return written(seed, api_key, note)


@shared_task
def names(logins: list[dict[str, Any]]) -> list[str]:
    """Return who logged in: the body of a chord."""
    return [one["user"] for one in logins]
