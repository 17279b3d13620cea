"""The result backend URL: ``storage://alias/path?option=value``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from ..exceptions import BackendMisconfigured
from ..records import StorageLocation

__all__ = ["BackendURL", "without_secrets"]


@dataclass(frozen=True)
class BackendURL:
    """The parts of a result backend URL; every part may be empty."""

    scheme: str = ""
    alias: str = ""
    path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    #: The option ``serializer``, which is for the backend; the other options are the storage's.
    serializer: str | None = None

    @classmethod
    def parse(cls, url: str | None) -> BackendURL:
        """Return the parts of ``url``, which may be a bare word or ``None``.

        Raises :class:`BackendMisconfigured` if the options are not well-formed.
        """
        if not url or "://" not in url:
            return cls(scheme=url or "")
        # Split like Celery, because urllib rejects an underscore, which a plugin's name may have.
        scheme, _, rest = url.partition("://")
        place, _, query = rest.partition("?")
        alias, _, path = place.partition("/")
        options = _options(query)
        serializer = options.pop("serializer", None)
        return cls(scheme, alias, path.strip("/"), options, serializer)

    def location(self, name: str, **facts: Any) -> StorageLocation:
        """Return the location for the storage called ``name``; ``facts`` are further fields."""
        return StorageLocation(
            name=name, alias=self.alias, path=self.path, options=self.options, **facts
        )


def _options(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        # The message leaves out the rest of the URL, which may contain a password.
        raise BackendMisconfigured(
            f"The options {query!r} of the result backend URL cannot be parsed: "
            "write them as name=value&name=value"
        ) from None


def without_secrets(url: str) -> str:
    """Return ``url`` for display: with ``**`` as its password, and without its options."""
    scheme, separator, rest = url.partition("://")
    place, _, _ = rest.partition("?")
    credentials, at, host = place.rpartition("@")
    user, colon, _ = credentials.partition(":")
    return f"{scheme}{separator}{user}{colon and ':**'}{at}{host}"
