"""The result backend URL: ``storage://alias/path?option=value``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import parse_qsl

from ..exceptions import BackendMisconfigured

__all__ = ["BackendURL", "require_known", "without_secrets"]


@dataclass(frozen=True)
class BackendURL:
    """The parts of a result backend URL; every part may be empty."""

    scheme: str = ""
    alias: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, url: str | None) -> BackendURL:
        """Return the parts of ``url``, which may be a bare word or ``None``.

        Raises :class:`BackendMisconfigured` for one that is not well-formed.
        """
        if not url or "://" not in url:
            return cls(scheme=url or "")
        # As Celery finds the scheme; urllib's allows no underscore, which plugins' names may have.
        scheme, _, rest = url.partition("://")
        place, _, query = rest.partition("?")
        alias, _, path = place.partition("/")
        return cls(scheme, alias, path.strip("/"), _options(query))


def _options(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        # Not the whole URL, which may have a password in it.
        raise BackendMisconfigured(
            f"The options {query!r} of the result backend URL are not of the form "
            "name=value&name=value"
        ) from None


def without_secrets(url: str) -> str:
    """Return ``url`` for people: its password as ``**``, and no options."""
    scheme, separator, rest = url.partition("://")
    place, _, _ = rest.partition("?")
    credentials, at, host = place.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon and ':**'}{at}{host}"


def require_known(kind: str, given: Iterable[str], valid: Iterable[str], where: str) -> None:
    """Raise :class:`BackendMisconfigured` for the first of ``given`` that is not in ``valid``."""
    valid = sorted(valid)
    for name in given:
        if name not in valid:
            closest = get_close_matches(name, valid, n=1)
            hint = f" Did you mean {closest[0]!r}?" if closest else ""
            listed = ", ".join(valid) or "none"
            raise BackendMisconfigured(
                f"{name!r} in {where} is not a valid {kind}.{hint} Valid: {listed}."
            )
