"""The plugin ``zstd``: what it compresses, on both backends, and what it refuses to read."""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from django.core.cache import caches
from kombu import compression

from django_celery_results.exceptions import BackendMisconfigured, ResultUnreadable
from django_celery_results.models import TaskResult
from django_celery_results.testing import check_plugin_settings

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

LARGE = {"words": ["ten thousand"] * 10_000}
#: What no compression makes smaller.
NOISE = random.Random(5).randbytes(3000)


@pytest.fixture
def backend(make_backend: MakeBackend, configure: Configure) -> Any:
    """A backend on the database that compresses."""
    configure(CODINGS=["zstd"])
    return make_backend()


def row_of(backend: Any, value: Any, task_id: str = "t1") -> Any:
    """Store ``value``, and return its row."""
    backend.store_result(task_id, value, "SUCCESS")
    return TaskResult.objects.get(task_id=task_id)


def replaced(frame: bytes) -> None:
    """Put another frame into the row."""
    TaskResult.objects.update(result=b64encode(frame).decode())


# -- What is compressed --------------------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "pickle", "msgpack"])
@pytest.mark.parametrize("url", ["django-db", "django-cache://default?serializer={}"])
def test_result_is_read_as_it_was_stored(
    make_backend: MakeBackend, configure: Configure, url: str, serializer: str
) -> None:
    """On both backends, whatever serializer wrote it."""
    caches["default"].clear()
    configure(CODINGS=["zstd"])
    conf = {"result_serializer": serializer, "result_accept_content": [serializer]}
    make_backend(url.format(serializer), **conf).store_result("t1", LARGE, "SUCCESS")
    assert LARGE == make_backend(url.format(serializer), **conf).get_result("t1")


def test_large_result_takes_little_room(backend: Any) -> None:
    """The row holds a frame, and says so."""
    row = row_of(backend, LARGE)
    assert "utf-8, zstd" == row.content_encoding
    assert len(row.result) < 1000
    assert zstandard.frame_content_size(b64decode(row.result)) > 100_000


@pytest.mark.parametrize(("length", "encoding"), [(979, "utf-8"), (980, "utf-8, zstd")])
def test_threshold_is_for_all_contents_together(
    configure: Configure, make_backend: MakeBackend, length: int, encoding: str
) -> None:
    """The quotes of the JSON and the meta, 20 bytes in all, count too."""
    configure(CODINGS=["zstd"], zstd={"THRESHOLD": 1000})
    assert encoding == row_of(make_backend(), "x" * length).content_encoding


def test_small_result_is_stored_as_it_is(backend: Any) -> None:
    """It can be read in the database."""
    row = row_of(backend, "x")
    assert ('"x"', "utf-8") == (row.result, row.content_encoding)


def test_noise_is_stored_as_it_is(make_backend: MakeBackend, configure: Configure) -> None:
    """Zstandard would make it larger."""
    configure(CODINGS=["zstd"])
    conf = {"result_serializer": "msgpack", "result_accept_content": ["msgpack"]}
    assert "binary" == row_of(make_backend(**conf), NOISE).content_encoding
    assert NOISE == make_backend(**conf).get_result("t1")


def test_what_could_not_be_read_again_is_not_compressed(
    make_backend: MakeBackend, configure: Configure
) -> None:
    """A content above the limit is stored, and read, as it is."""
    configure(CODINGS=["zstd"], zstd={"MAX_SIZE": 5000})
    assert "utf-8" == row_of(make_backend(), "x" * 5000).content_encoding


def test_higher_level_takes_less_room(make_backend: MakeBackend, configure: Configure) -> None:
    """The setting is used."""
    words = [f"{number:x}" for number in random.Random(5).choices(range(2**16), k=5000)]
    sizes = []
    for level in (1, 19):
        configure(CODINGS=["zstd"], zstd={"LEVEL": level})
        sizes.append(len(row_of(make_backend(), words, f"at {level}").result))
    assert sizes[1] < sizes[0]


# -- What is refused -----------------------------------------------------------------


def test_bomb_is_refused(backend: Any, configure: Configure, make_backend: MakeBackend) -> None:
    """The error names the task, the size and the setting; the row stays readable under another."""
    row_of(backend, LARGE)
    configure(CODINGS=["zstd"], zstd={"MAX_SIZE": 100_000})
    expected = r"task 't1' .* a content of 1\d{5} bytes is more .*\['MAX_SIZE'\], which is 100000"
    with pytest.raises(ResultUnreadable, match=expected):
        make_backend().get_result("t1")
    configure(CODINGS=["zstd"])
    assert LARGE == make_backend().get_result("t1")


def test_bomb_that_does_not_say_its_size_is_refused(backend: Any) -> None:
    """The plugin writes none such."""
    row_of(backend, LARGE)
    compressor = zstandard.ZstdCompressor(write_content_size=False)
    replaced(compressor.compress(b"x" * 10**6))
    with pytest.raises(ResultUnreadable, match="does not say how large its content is"):
        backend.get_result("t1")


def test_bomb_that_says_less_than_it_holds_is_corrupt(backend: Any) -> None:
    """No more than it says is made of it."""
    row_of(backend, LARGE)
    frame = bytearray(zstandard.compress(b"x" * 10**6))
    size = (10**6).to_bytes(4, "little")
    at = frame.index(size)
    frame[at : at + 4] = (1000).to_bytes(4, "little")
    replaced(bytes(frame))
    with pytest.raises(ResultUnreadable, match=r"'t1' .* result is corrupt: ZstdError"):
        backend.get_result("t1")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _frame: b"", id="empty"),
        pytest.param(lambda frame: frame[:-3], id="cut off"),
        pytest.param(lambda frame: frame + b"x", id="too long"),
        pytest.param(lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]), id="another checksum"),
        pytest.param(lambda _frame: b"no frame at all", id="no frame"),
    ],
)
def test_corrupt_content_is_an_error_that_names_the_task(backend: Any, change: Any) -> None:
    """And the result of no other task."""
    row = row_of(backend, LARGE)
    replaced(change(b64decode(row.result)))
    with pytest.raises(ResultUnreadable, match=r"'t1' .* result is corrupt: ZstdError"):
        backend.get_result("t1")


@pytest.mark.parametrize(
    ("traceback", "change"),
    [
        pytest.param("x" * 200, lambda frame: frame[:5] + b"\x00" + frame[6:], id="says none"),
        pytest.param("", lambda frame: frame[:-3], id="none, cut off"),
        pytest.param("", lambda frame: frame + b"x", id="none, too long"),
        pytest.param("", lambda frame: frame[:-1] + b"?", id="none, another checksum"),
        pytest.param("", lambda frame: frame + frame * 9, id="none, ten times"),
    ],
)
def test_frame_that_says_it_is_empty_is_looked_at(
    backend: Any, traceback: str, change: Any
) -> None:
    """It may have been changed too: a traceback is never lost without a word."""
    backend.store_result("t1", ValueError("x" * 5000), "FAILURE", traceback=traceback)
    assert traceback == backend.get_task_meta("t1")["traceback"]
    frame = b64decode(TaskResult.objects.get().traceback or "")
    TaskResult.objects.update(traceback=b64encode(change(frame)).decode())
    with pytest.raises(ResultUnreadable, match=r"'t1' .* traceback is corrupt: "):
        backend.get_task_meta("t1")


# -- Settings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"THRESHOLD": 1, "LEVEL": 22, "MAX_SIZE": 1}, []),
        ("fast", ["E001"]),
        ({"THRESHOLD": -1}, ["E002"]),
        ({"LEVEL": 23}, ["E003"]),
        ({"MAX_SIZE": "1 MB"}, ["E004"]),
        ({"LEVLE": 5}, ["W001"]),
        ({"THRESHOLD": 5000, "MAX_SIZE": 4999}, ["W002"]),
        ({"MAX_SIZE": 1000}, ["W002"]),
    ],
)
def test_wrong_settings_are_reported(configure: Configure, options: Any, ids: list[str]) -> None:
    """By `manage.py check`, each under an id of its own."""
    configure(zstd=options)
    expected = [f"django_celery_results_zstd.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


def test_wrong_setting_stores_nothing(configure: Configure, make_backend: MakeBackend) -> None:
    """It is never passed over."""
    configure(CODINGS=["zstd"], zstd={"LEVEL": 23})
    with pytest.raises(BackendMisconfigured, match=r"\['LEVEL'\] is 23; it has to be a whole"):
        make_backend().store_result("t1", LARGE, "SUCCESS")


# -- Kombu's method of the same name -------------------------------------------------


@pytest.fixture
def kombus(monkeypatch: pytest.MonkeyPatch) -> str:
    """The coding that Kombu's method ``zstd`` is; here it may lack the library for it."""
    for known in ("_encoders", "_decoders", "_aliases"):
        monkeypatch.setattr(compression, known, dict(getattr(compression, known)))
    encode, decode = zstandard.ZstdCompressor().compress, zstandard.ZstdDecompressor().decompress
    compression.register(encode, decode, "application/zstd", aliases=["zstd", "zstandard"])
    return "application/zstd"


def test_name_selects_this_plugins(
    kombus: str, configure: Configure, make_backend: MakeBackend
) -> None:
    """Kombu's is selected by its own, and each row is read by what it says."""
    for number, name in enumerate(("zstd", kombus)):
        configure(CODINGS=[name])
        assert f"utf-8, {name}" == row_of(make_backend(), LARGE, f"t{number}").content_encoding
    assert [LARGE, LARGE] == [make_backend().get_result(one) for one in ("t0", "t1")]


def test_name_selects_nothing_while_the_plugin_is_disabled(
    kombus: str, backend: Any, configure: Configure, make_backend: MakeBackend
) -> None:
    """Least of all Kombu's, which has no limit; what is stored is read."""
    row_of(backend, LARGE)
    configure(CODINGS=["zstd"], DISABLED_PLUGINS=["zstd"])
    expected = f"the plugin 'zstd', which is disabled .*say '{kombus}'"
    with pytest.raises(BackendMisconfigured, match=expected):
        make_backend()
    configure(DISABLED_PLUGINS=["zstd"])
    assert LARGE == make_backend().get_result("t1")


# -- Off -----------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{}, {"DISABLED_PLUGINS": ["zstd"]}], ids=["unused", "disabled"])
def test_old_rows_are_read_when_it_is_off(
    backend: Any, configure: Configure, make_backend: MakeBackend, keys: dict[str, Any]
) -> None:
    """Whether its coding is not selected or it is disabled; new ones are not compressed."""
    row_of(backend, LARGE)
    configure(**keys)
    own = make_backend()
    assert LARGE == own.get_result("t1")
    assert "utf-8" == row_of(own, LARGE, "t2").content_encoding
