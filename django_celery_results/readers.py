"""What a stored record is read with: also a disabled plugin's, when a record needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from .codec import PYTHON_CONTENT_TYPE, split_encoding
from .contributions import instead_of, is_serializer
from .exceptions import BackendMisconfigured

if TYPE_CHECKING:
    from .plugins import LoadedPlugins
    from .records import Coding, Contents

__all__ = ["know_serializers", "readers_of"]


def readers_of(plugins: LoadedPlugins, contents: Contents) -> Mapping[str, Coding]:
    """Return the codings by name, and see to it that what ``contents`` need is among them.

    What no active plugin has is looked for in the disabled ones.
    """
    readers = plugins.contributions.readers
    content_type = contents.content_type
    if plugins.dormant:
        known = content_type == PYTHON_CONTENT_TYPE or is_serializer(content_type)
        if not known or set(split_encoding(contents.content_encoding)[1]) - set(readers):
            plugins.load_readers()
    return readers


def know_serializers(plugins: LoadedPlugins, accepted: Collection[str]) -> None:
    """Make those serializers known to Kombu that only disabled plugins have.

    Celery refuses to start with a name in ``result_accept_content`` that Kombu does not
    know; raises :class:`BackendMisconfigured`, which says what is missing, for such a one.
    """
    if plugins.dormant and not all(map(is_serializer, accepted)):
        plugins.load_readers()
    for name in accepted:
        # A content type may be there without its serializer; nothing then has that type.
        if "/" not in name and not is_serializer(name):
            raise BackendMisconfigured(
                f"CELERY_RESULT_ACCEPT_CONTENT, or CELERY_ACCEPT_CONTENT where that is not set, "
                f"has {name!r}, and there is no such serializer{instead_of(name)}"
            )
