"""The keys, and what is stored of a content that is encrypted with one of them.

The stored form begins with what names the key, so that a key that is missing can be named
too, and rows under another key can be found without decrypting them::

    1 byte    the version of this form: 1
    8 bytes   the key's fingerprint
    the rest  the Fernet token (its specification's), not in base64
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from django_celery_results.exceptions import BackendMisconfigured, ResultUnreadable

__all__ = ["Keyring", "fingerprint", "fingerprint_of"]

VERSION = b"\x01"
FINGERPRINT_SIZE = 8
HEADER_SIZE = len(VERSION) + FINGERPRINT_SIZE
#: Keeps the fingerprint from being the hash of the key that somebody else may publish.
PURPOSE = b"django-celery-results-fernet:"


def fingerprint(key: str | bytes) -> str:
    """Return what names a key: 16 hexadecimal digits, from which it cannot be had back."""
    return sha256(PURPOSE + urlsafe_b64decode(key)).digest()[:FINGERPRINT_SIZE].hex()


def fingerprint_of(stored: bytes) -> str:
    """Return the fingerprint of the key that ``stored`` is encrypted with.

    Raises ``ValueError`` for what this plugin has not written.
    """
    if not stored.startswith(VERSION) or len(stored) <= HEADER_SIZE:
        raise ValueError("it is no content that the plugin 'fernet' has encrypted")
    return stored[len(VERSION) : HEADER_SIZE].hex()


class Keyring:
    """The keys of the site, newest first: the first encrypts, and every one decrypts."""

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        """Raise ``ValueError`` for a key that is malformed or there twice; none is shown."""
        fernets = []
        for number, key in enumerate(keys, 1):
            try:
                fernets.append(Fernet(key))
            except (ValueError, TypeError):
                raise ValueError(f"key {number} is not 32 bytes as urlsafe base64") from None
        self.fingerprints = tuple(map(fingerprint, keys))
        if len(set(self.fingerprints)) != len(keys):
            raise ValueError("a key is there twice")
        self._fernet = MultiFernet(fernets) if fernets else None

    @property
    def newest(self) -> str:
        """The fingerprint of the key that encrypts.

        Raises :class:`~django_celery_results.exceptions.BackendMisconfigured` without keys.
        """
        if not self.fingerprints:
            raise _no_key()
        return self.fingerprints[0]

    @property
    def prefix(self) -> str:
        """What every text begins with that was last encrypted, and with the newest key."""
        # A multiple of three bytes: no character of it is also made of what follows.
        return b64encode(VERSION + bytes.fromhex(self.newest)).decode()

    def encrypt(self, content: bytes) -> bytes:
        """Return ``content`` encrypted with the newest key."""
        if self._fernet is None:
            raise _no_key()
        return (
            VERSION + bytes.fromhex(self.newest) + urlsafe_b64decode(self._fernet.encrypt(content))
        )

    def decrypt(self, stored: bytes) -> bytes:
        """Return what was encrypted, with whichever key.

        Raises :class:`~django_celery_results.exceptions.ResultUnreadable`, which names the
        key, where that is missing or the token was changed; ``ValueError`` for no token.
        """
        wanted = fingerprint_of(stored)
        if self._fernet is None or wanted not in self.fingerprints:
            raise ResultUnreadable(
                f"the key with the fingerprint {wanted} is missing; put it back into "
                "DJANGO_CELERY_RESULTS['fernet']['KEYS'], behind the newest "
                f"(there: {', '.join(self.fingerprints) or 'none'})"
            )
        try:
            return self._fernet.decrypt(urlsafe_b64encode(stored[HEADER_SIZE:]))
        except InvalidToken:
            raise ResultUnreadable(
                f"what the key with the fingerprint {wanted} had encrypted was changed or cut off"
            ) from None


def _no_key() -> BackendMisconfigured:
    return BackendMisconfigured(
        "DJANGO_CELERY_RESULTS['fernet']['KEYS'] has no key to encrypt with; make one with "
        "cryptography.fernet.Fernet.generate_key()"
    )
