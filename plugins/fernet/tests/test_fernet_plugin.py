"""The plugin ``fernet``: encrypting, the keys, and contents that it refuses to read."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode, b64encode, urlsafe_b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from django.core.cache import caches

from django_celery_results.exceptions import BackendMisconfigured, ResultUnreadable
from django_celery_results.models import TaskResult
from django_celery_results.testing import CodingConformance
from django_celery_results_fernet.keyring import Keyring, fingerprint, fingerprint_of

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

NEW, OLD, OTHER = (Fernet.generate_key().decode() for _ in range(3))
#: The key of the Fernet specification's test vectors, and its bytes without base64.
KNOWN = "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
KNOWN_BYTES = "730ff4c7af3d46923e8ed451ee813c87f790b0a226bc96a92de49b5e9c05e1ee"


class TestFernet(CodingConformance):
    """Runs the suite that every coding has to pass."""

    plugin = "fernet"
    name = "fernet"
    options = {"fernet": {"KEYS": [NEW, OLD]}}  # noqa: RUF012 - declared so by the suite


class Configured:
    """Makes backends that encrypt with the given keys."""

    def __init__(self, configure: Configure, make_backend: MakeBackend) -> None:
        self.configure = configure
        self.make_backend = make_backend

    def __call__(self, *keys: str, url: str = "django-db", **options: Any) -> Any:
        """Return a backend with these keys."""
        self.configure(CODINGS=["fernet"], fernet={"KEYS": list(keys)}, **options)
        return self.make_backend(url)


@pytest.fixture
def backend_with(configure: Configure, make_backend: MakeBackend) -> Configured:
    """Returns a function that makes a backend with keys."""
    return Configured(configure, make_backend)


def store(backend: Any, value: Any = "secret", task_id: str = "t1") -> Any:
    """Store ``value`` and return its row."""
    backend.store_result(task_id, value, "SUCCESS")
    return TaskResult.objects.get(task_id=task_id)


# -- What is stored ------------------------------------------------------------------


@pytest.mark.parametrize("url", ["django-db", "django-cache"])
def test_result_is_read_back_as_it_was_stored(backend_with: Configured, url: str) -> None:
    """On both backends."""
    caches["default"].clear()
    backend_with(NEW, url=url).store_result("t1", {"a": "ä"}, "SUCCESS")
    assert {"a": "ä"} == backend_with(NEW, url=url).get_result("t1")


def test_stored_form_is_the_documented_one(backend_with: Configured) -> None:
    """Other programs can read it: the version, the key's fingerprint, the token."""
    row = store(backend_with(NEW, OLD))
    stored = b64decode(row.result)
    assert "utf-8, fernet" == row.content_encoding
    assert (b"\x01", fingerprint(NEW)) == (stored[:1], stored[1:9].hex())
    assert b'"secret"' == Fernet(NEW).decrypt(urlsafe_b64encode(stored[9:]))


def test_fingerprint_never_changes() -> None:
    """It is stored in every row."""
    hashed = sha256(b"django-celery-results-fernet:" + bytes.fromhex(KNOWN_BYTES)).hexdigest()
    assert "9da9ae4c72e303b4" == fingerprint(KNOWN) == hashed[:16]


def test_text_begins_with_the_newest_key(backend_with: Configured) -> None:
    """The database uses it to find rows under other keys."""
    keys = Keyring([NEW, OLD])
    assert store(backend_with(NEW)).result.startswith(keys.prefix)
    assert not store(backend_with(OLD), task_id="t2").result.startswith(keys.prefix)


def test_same_result_is_stored_differently(backend_with: Configured) -> None:
    """A reader of the table must not see that two results are equal."""
    backend = backend_with(NEW)
    assert store(backend).result != store(backend, task_id="t2").result


def test_result_is_compressed_before_it_is_encrypted(
    configure: Configure, make_backend: MakeBackend
) -> None:
    """In the order of the setting ``CODINGS``."""
    configure("fernet", "zstd", CODINGS=["zstd", "fernet"], fernet={"KEYS": [NEW]})
    row = store(make_backend(), "words " * 10_000)
    assert ("utf-8, zstd, fernet", True) == (row.content_encoding, len(row.result) < 1000)
    assert "words " * 10_000 == make_backend().get_result("t1")


# -- Keys ----------------------------------------------------------------------------


def test_older_key_decrypts(backend_with: Configured) -> None:
    """As long as it is in the list."""
    store(backend_with(OLD))
    assert "secret" == backend_with(NEW, OLD).get_result("t1")


@pytest.mark.parametrize("keys", [(NEW, OTHER), ()], ids=["others", "none"])
def test_missing_key_is_named_and_nothing_is_lost(
    backend_with: Configured, keys: tuple[str, ...]
) -> None:
    """The error names task and fingerprint; once the key is back, the result is readable."""
    store(backend_with(OLD))
    expected = rf"task 't1' .*key with the fingerprint {fingerprint(OLD)} is missing"
    with pytest.raises(ResultUnreadable, match=expected) as raised:
        backend_with(*keys).get_result("t1")
    assert (", ".join(map(fingerprint, keys)) or "none") in str(raised.value)
    assert "secret" == backend_with(NEW, OLD).get_result("t1")


def test_missing_key_of_a_chord_is_named(backend_with: Configured) -> None:
    """As for a task."""
    backend_with(OLD).apply_chord(("c1", []), {"task": "t"})
    backend = backend_with(NEW)
    [chord] = backend.chords.unfinished()
    with pytest.raises(ResultUnreadable, match=f"body of chord 'c1' .*{fingerprint(OLD)}"):
        backend.chords.body_of(chord)


@pytest.mark.parametrize("field", ["result", "task_args", "traceback"])
def test_changed_content_is_an_error(backend_with: Configured, field: str) -> None:
    """Changed arguments and tracebacks are not shown as something else either."""
    backend = backend_with(NEW)
    stored = bytearray(b64decode(store(backend).result))
    stored[40] ^= 1
    TaskResult.objects.update(**{field: b64encode(stored).decode()})
    expected = rf"task 't1' .*{fingerprint(NEW)} was changed or truncated; restore it"
    with pytest.raises(ResultUnreadable, match=expected):
        backend.get_result("t1")


@pytest.mark.parametrize("stored", [b"", b"\x01" + bytes(8), b"\x02" + bytes(80), b'"plain"'])
def test_content_that_was_never_encrypted_is_corrupt(
    backend_with: Configured, stored: bytes
) -> None:
    """The row claims that it is encrypted."""
    backend = backend_with(NEW)
    store(backend)
    TaskResult.objects.update(result=b64encode(stored).decode())
    with pytest.raises(
        ResultUnreadable, match="is corrupt: ValueError: the plugin 'fernet' did not"
    ):
        backend.get_result("t1")


def test_fingerprint_of_stored_content_needs_no_key() -> None:
    """Rows can be listed by key even if the key is lost."""
    assert fingerprint(OLD) == fingerprint_of(Keyring([OLD]).encrypt(b""))


def test_wrong_key_stores_nothing(configure: Configure, make_backend: MakeBackend) -> None:
    """Above all, not as plain text."""
    configure(CODINGS=["fernet"], fernet={"KEYS": ["x"]})
    with pytest.raises(BackendMisconfigured, match="it has to be a list of Fernet keys"):
        make_backend().store_result("t1", "secret", "SUCCESS")
    assert not TaskResult.objects.exists()


def test_without_a_key_nothing_is_stored(backend_with: Configured) -> None:
    """The error says how to make one."""
    with pytest.raises(BackendMisconfigured, match="has no key to encrypt with; make one"):
        backend_with().store_result("t1", "secret", "SUCCESS")
    assert not TaskResult.objects.exists()


def test_wrong_setting_is_not_reported_as_a_corrupt_result(backend_with: Configured) -> None:
    """The error names the setting."""
    store(backend_with(NEW))
    with pytest.raises(ResultUnreadable, match=r"'t1' cannot be read: .*\['KEYS'\] is wrong"):
        backend_with("x").get_result("t1")


# -- Off -----------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{}, {"DISABLED_PLUGINS": ["fernet"]}], ids=["unused", "disabled"])
def test_old_rows_are_readable_when_it_is_off(
    backend_with: Configured, configure: Configure, make_backend: MakeBackend, keys: dict[str, Any]
) -> None:
    """Its coding is not selected, or the plugin is disabled; new rows are not encrypted."""
    store(backend_with(NEW))
    configure(fernet={"KEYS": [NEW]}, **keys)
    assert "secret" == make_backend().get_result("t1")
    assert "utf-8" == store(make_backend(), task_id="t2").content_encoding


MISSING_LIBRARY = """
import sys
sys.modules["cryptography"] = None
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_celery_results"])
django.setup()
from django_celery_results.testing import plugin_infos
print([one.reason for one in plugin_infos() if one.name == "fernet"])
"""


def test_missing_library_is_reported() -> None:
    """The plugin does not load, and gives the reason."""
    done = subprocess.run(
        [sys.executable, "-c", MISSING_LIBRARY],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
    )
    assert "cryptography" in done.stdout
