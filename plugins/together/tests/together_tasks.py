"""Tasks with secrets: a password, a card number, and text that only looks harmless."""

from __future__ import annotations

import random
from typing import Any

from celery import shared_task

__all__ = ["CARD", "MASK", "NOTE", "PASSWORD", "PIN", "written"]

#: Secrets that ``redact`` finds by name, by pattern, and by its settings.
PASSWORD, CARD, PIN = "hunter2-in-the-corn", "4111 1111 1111 1111", "pin-07-31"
MASK = "********"
#: A secret that ``redact`` does not know; only ``fernet`` hides it.
NOTE = "the patient in room nine"


@shared_task
def login(user: str, *, password: str, pin: str, note: str) -> dict[str, Any]:
    """Return all arguments."""
    return {"user": user, "password": password, "pin": pin, "note": note, "card": CARD}


@shared_task
def refuse(user: str, *, password: str, note: str) -> None:
    """Reveal the arguments in an exception."""
    raise PermissionError(f"{user} came with {password}, and paid with {CARD}: {note}")


@shared_task(bind=True)
def insist(self: Any, *, password: str) -> str:
    """Reveal the argument in a retry."""
    if not self.request.retries:
        # Celery sends the next try before it stores RETRY for this one.
        raise self.retry(exc=PermissionError(f"not with {password}"), countdown=0.3)
    return password


def written(seed: int, api_key: str, note: str) -> dict[str, Any]:
    """Return a large value that compresses to no less than half."""
    # Letters only: random digits might look like a card number.
    text = "".join(random.Random(seed).choices("abcdefghijklmnop", k=20_000))
    return {"text": text, "api_key": api_key, "note": note, "card": CARD}


@shared_task
def report(seed: int, *, api_key: str, note: str) -> dict[str, Any]:
    """Return a large value."""
    return written(seed, api_key, note)


@shared_task
def brief_report(seed: int, *, api_key: str, note: str) -> dict[str, Any]:
    """Return a large value that is not kept."""
    return written(seed, api_key, note)


@shared_task
def passing_report(seed: int, *, api_key: str, note: str) -> dict[str, Any]:
    """Return a large value that the test will forget."""
    return written(seed, api_key, note)


@shared_task
def names(logins: list[dict[str, Any]]) -> list[str]:
    """Return the names of the users who logged in; the body of a chord."""
    return [one["user"] for one in logins]
