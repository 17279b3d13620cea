"""The keys, and the stored form of content encrypted with one of them.

The stored form begins with the key's fingerprint, so that an error can name a missing key
and rows under another key are found without decrypting them::

    1 byte    the version of this form: 1
    8 bytes   the key's fingerprint
    the rest  the Fernet token as its specification defines it, but without base64
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
#: Hashed with the key, so that a fingerprint differs from a plain hash of the key.
PURPOSE = b"django-celery-results-fernet:"


def fingerprint(key: str | bytes) -> str:
    """Return a key's name: 16 hexadecimal digits that do not reveal the key."""
    return sha256(PURPOSE + urlsafe_b64decode(key)).digest()[:FINGERPRINT_SIZE].hex()


def fingerprint_of(stored: bytes) -> str:
    """Return the fingerprint of the key that encrypted ``stored``.

    Raises ``ValueError`` if this plugin did not encrypt it.
    """
    if not stored.startswith(VERSION) or len(stored) <= HEADER_SIZE:
        raise ValueError("the plugin 'fernet' did not encrypt it")
    return stored[len(VERSION) : HEADER_SIZE].hex()


class Keyring:
    """The site's keys, newest first: the first encrypts, and all of them decrypt."""

    def __init__(self, keys: Sequence[str | bytes]) -> None:
        """Raise ``ValueError``, which shows no key, if one is malformed or listed twice."""
        fernets = []
        for number, key in enumerate(keys, 1):
            try:
                fernets.append(Fernet(key))
            except (ValueError, TypeError):
                raise ValueError(f"key {number} is not 32 bytes as urlsafe base64") from None
        self.fingerprints = tuple(map(fingerprint, keys))
        if len(set(self.fingerprints)) != len(keys):
            raise ValueError("a key is listed twice")
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
        """The beginning of every text whose last coding is encryption with the newest key."""
        # The bytes are a multiple of three, so that no base64 character also encodes later bytes.
        return b64encode(VERSION + bytes.fromhex(self.newest)).decode()

    def encrypt(self, content: bytes) -> bytes:
        """Return ``content`` encrypted with the newest key."""
        if self._fernet is None:
            raise _no_key()
        return (
            VERSION + bytes.fromhex(self.newest) + urlsafe_b64decode(self._fernet.encrypt(content))
        )

    def decrypt(self, stored: bytes) -> bytes:
        """Return the decrypted content, whichever key encrypted it.

        Raises :class:`~django_celery_results.exceptions.ResultUnreadable`, which names the key,
        if the key is missing or the token was changed, and ``ValueError`` if ``stored`` does
        not have the stored form.
        """
        wanted = fingerprint_of(stored)
        if self._fernet is None or wanted not in self.fingerprints:
            raise ResultUnreadable(
                f"the key with the fingerprint {wanted} is missing; put it back into "
                "DJANGO_CELERY_RESULTS['fernet']['KEYS'], after the newest key "
                f"(keys there: {', '.join(self.fingerprints) or 'none'})"
            )
        try:
            return self._fernet.decrypt(urlsafe_b64encode(stored[HEADER_SIZE:]))
        except InvalidToken:
            raise ResultUnreadable(
                f"the content encrypted with the key with the fingerprint {wanted} was changed or "
                "truncated; restore it from a backup"
            ) from None


def _no_key() -> BackendMisconfigured:
    return BackendMisconfigured(
        "DJANGO_CELERY_RESULTS['fernet']['KEYS'] has no key to encrypt with; make one with "
        "cryptography.fernet.Fernet.generate_key()"
    )
