"""The setting ``KEYS`` of the plugin ``fernet``: sources of keys, and wrong values."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet

from django_celery_results.testing import check_plugin_settings
from django_celery_results_fernet.keyring import fingerprint
from django_celery_results_fernet.plugin import options

if TYPE_CHECKING:
    from tests.configuring import Configure

NEW, OLD = (Fernet.generate_key().decode() for _ in range(2))
EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples"
#: The name under which this module is importable in these tests.
HERE = "fernet_key_stores"


def one_key() -> list[str]:
    """A key store."""
    return [NEW]


def no_list() -> str:
    """A key store that returns a string instead of a list."""
    return NEW


class Unhashable:
    """A key store that cannot be cached, because it is not hashable."""

    __hash__ = None  # type: ignore[assignment]  # lists set it to None, too

    def __call__(self) -> list[str]:
        """Return a key."""
        return [NEW]


unhashable = Unhashable()


def broken() -> list[str]:
    """A key store that fails, with a key in its error."""
    raise OSError(NEW)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])


@pytest.mark.parametrize(
    "keys",
    [[NEW], (NEW.encode(),), one_key, lambda: (NEW,), f"{HERE}.one_key"],
    ids=["list", "bytes", "callable", "lambda", "path"],
)
def test_keys_may_come_from_a_callable(configure: Configure, keys: Any) -> None:
    """Or the dotted path of one, or a list; a key may be a string or bytes."""
    configure(CODINGS=["fernet"], fernet={"KEYS": keys})
    assert [] == list(check_plugin_settings())
    assert (fingerprint(NEW),) == options.keys.fingerprints


def test_key_store_is_called_once(configure: Configure) -> None:
    """It may be remote."""
    asked = []

    def keys() -> list[str]:
        asked.append(1)
        return [NEW]

    configure(fernet={"KEYS": keys})
    assert {fingerprint(NEW)} == {options.keys.newest for _ in range(3)}
    assert [1] == asked


@pytest.mark.parametrize(
    ("written", "says"),
    [
        # Every process has another key, and xdist needs the same name of this test in all.
        pytest.param(NEW, "E001: is str, not a dict", id="a key"),
        ({"KEYS": NEW}, "E002: the string is not a dotted path"),
        ({"KEYS": ""}, "E002: the string is not a dotted path"),
        (
            {"KEYS": "nowhere.at_all"},
            "E002: 'nowhere.at_all' cannot be imported: No module named 'nowhere'",
        ),
        ({"KEYS": f"{HERE}.nobody"}, 'E002: does not define a "nobody" attribute'),
        ({"KEYS": "fernet_keys_of_environment.keys"}, "E002: importing 'fernet_keys_of_"),
        ({"KEYS": unhashable}, "E002: the callable has to be hashable"),
        ({"KEYS": f"{HERE}.unhashable"}, "E002: the callable has to be hashable"),
        ({"KEYS": f"{HERE}.HERE"}, "E002: the object at the dotted path is not callable"),
        ({"KEYS": f"{HERE}.no_list"}, "E002: it has to be a list of Fernet keys"),
        ({"KEYS": broken}, "E002: the callable raised OSError"),
        ({"KEYS": [NEW, NEW[:-5]]}, "E002: key 2 is not 32 bytes as urlsafe base64"),
        ({"KEYS": [None]}, "E002: key 1 is not 32 bytes as urlsafe base64"),
        ({"KEYS": [[NEW]]}, "E002: one of them is not a string"),
        ({"KEYS": [NEW, OLD, NEW]}, "E002: a key is listed twice"),
        ({"KEYS": {NEW}}, "E002: it has to be a list of Fernet keys"),
        ({"KEYS": []}, "E003: there is no key"),
        ({}, "E003: there is no key"),
        ({"KEY": [NEW]}, "E003: there is no key"),
    ],
)
def test_wrong_settings_are_reported(configure: Configure, written: Any, says: str) -> None:
    """No message shows a key."""
    configure(CODINGS=["fernet"], fernet=written)
    number, _, reason = says.partition(": ")
    messages = {str(one.id).rpartition(".")[2]: str(one) for one in check_plugin_settings()}
    assert reason in messages[number]
    assert not any(NEW in message for message in messages.values())


def test_no_key_is_needed_if_nothing_is_encrypted(configure: Configure) -> None:
    """A site may install the plugin only to read old rows, or not use it at all."""
    configure()
    assert [] == list(check_plugin_settings())


def test_documented_key_store_provides_keys(
    monkeypatch: pytest.MonkeyPatch, configure: Configure
) -> None:
    """The documentation shows it."""
    monkeypatch.syspath_prepend(EXAMPLES / "mysite")
    monkeypatch.setenv("RESULTS_KEYS", f"{NEW} {OLD}")
    configure(CODINGS=["fernet"], fernet={"KEYS": import_module("results_keys").fernet_keys})
    assert [] == list(check_plugin_settings())
    assert (fingerprint(NEW), fingerprint(OLD)) == options.keys.fingerprints
