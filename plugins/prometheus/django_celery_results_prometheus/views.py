"""The view for scrapers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.transaction import non_atomic_requests
from django.http import HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .exposition import render
from .options import options

if TYPE_CHECKING:
    from django.http import HttpRequest

__all__ = ["metrics"]

REFUSAL = "Send the token of the settings as a bearer token, or log in as a staff member."


@non_atomic_requests
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics if the client may read them, and status 401 otherwise.

    It may if it sends the setting ``TOKEN`` as a bearer token (RFC 6750), if it is logged in
    as a staff member, or if the setting ``PUBLIC`` is true.
    """
    if not (options.public or _has_token(request) or _is_staff(request)):
        return HttpResponse(
            REFUSAL,
            status=401,
            content_type="text/plain; charset=utf-8",
            headers={"WWW-Authenticate": "Bearer"},
        )
    text, content_type = render(request.headers.get("Accept", ""))
    return HttpResponse(text, content_type=content_type)


def _has_token(request: HttpRequest) -> bool:
    token = options.token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return constant_time_compare(given.strip(), token)


def _is_staff(request: HttpRequest) -> bool:
    # Without Django's authentication, requests lack a user.
    user = getattr(request, "user", None)
    return user is not None and user.is_active and user.is_staff
