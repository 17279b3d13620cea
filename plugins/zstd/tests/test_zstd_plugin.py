"""The plugin ``zstd``: which results it compresses, and which frames it refuses to read."""

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
#: Random bytes, which no compression makes smaller.
NOISE = random.Random(5).randbytes(3000)


@pytest.fixture
def backend(make_backend: MakeBackend, configure: Configure) -> Any:
    """A database backend that compresses."""
    configure(CODINGS=["zstd"])
    return make_backend()


def row_of(backend: Any, value: Any, task_id: str = "t1") -> Any:
    """Store ``value`` and return its row."""
    backend.store_result(task_id, value, "SUCCESS")
    return TaskResult.objects.get(task_id=task_id)


def replaced(frame: bytes) -> None:
    """Replace the frame in the row."""
    TaskResult.objects.update(result=b64encode(frame).decode())


# -- Results that are compressed -----------------------------------------------------


@pytest.mark.parametrize("serializer", ["json", "pickle", "msgpack"])
@pytest.mark.parametrize("url", ["django-db", "django-cache://default?serializer={}"])
def test_result_is_read_back_as_it_was_stored(
    make_backend: MakeBackend, configure: Configure, url: str, serializer: str
) -> None:
    """On both backends, with any serializer."""
    caches["default"].clear()
    configure(CODINGS=["zstd"])
    conf = {"result_serializer": serializer, "result_accept_content": [serializer]}
    make_backend(url.format(serializer), **conf).store_result("t1", LARGE, "SUCCESS")
    assert LARGE == make_backend(url.format(serializer), **conf).get_result("t1")


def test_large_result_takes_little_space(backend: Any) -> None:
    """The row contains a frame, and names the coding."""
    row = row_of(backend, LARGE)
    assert "utf-8, zstd" == row.content_encoding
    assert len(row.result) < 1000
    assert zstandard.frame_content_size(b64decode(row.result)) > 100_000


@pytest.mark.parametrize(("length", "encoding"), [(979, "utf-8"), (980, "utf-8, zstd")])
def test_threshold_counts_all_contents_together(
    configure: Configure, make_backend: MakeBackend, length: int, encoding: str
) -> None:
    """The quotes of the JSON and the meta count too, 20 bytes in all."""
    configure(CODINGS=["zstd"], zstd={"THRESHOLD": 1000})
    assert encoding == row_of(make_backend(), "x" * length).content_encoding


def test_small_result_is_not_compressed(backend: Any) -> None:
    """It stays readable in the database."""
    row = row_of(backend, "x")
    assert ('"x"', "utf-8") == (row.result, row.content_encoding)


def test_random_bytes_are_not_compressed(make_backend: MakeBackend, configure: Configure) -> None:
    """Zstandard would make them larger."""
    configure(CODINGS=["zstd"])
    conf = {"result_serializer": "msgpack", "result_accept_content": ["msgpack"]}
    assert "binary" == row_of(make_backend(**conf), NOISE).content_encoding
    assert NOISE == make_backend(**conf).get_result("t1")


def test_content_above_the_limit_is_not_compressed(
    make_backend: MakeBackend, configure: Configure
) -> None:
    """The plugin would refuse to decompress it."""
    configure(CODINGS=["zstd"], zstd={"MAX_SIZE": 5000})
    assert "utf-8" == row_of(make_backend(), "x" * 5000).content_encoding


def test_higher_level_takes_less_space(make_backend: MakeBackend, configure: Configure) -> None:
    """The setting ``LEVEL`` is used."""
    words = [f"{number:x}" for number in random.Random(5).choices(range(2**16), k=5000)]
    sizes = []
    for level in (1, 19):
        configure(CODINGS=["zstd"], zstd={"LEVEL": level})
        sizes.append(len(row_of(make_backend(), words, f"at {level}").result))
    assert sizes[1] < sizes[0]


# -- Frames that are refused ---------------------------------------------------------


def test_bomb_is_refused(backend: Any, configure: Configure, make_backend: MakeBackend) -> None:
    """The error names task, size and setting; with a higher limit the row is readable."""
    row_of(backend, LARGE)
    configure(CODINGS=["zstd"], zstd={"MAX_SIZE": 100_000})
    expected = r"task 't1' .* a content of 1\d{5} bytes is above the limit of 100000; .*'MAX_SIZE'"
    with pytest.raises(ResultUnreadable, match=expected):
        make_backend().get_result("t1")
    configure(CODINGS=["zstd"])
    assert LARGE == make_backend().get_result("t1")


def test_bomb_that_does_not_state_its_size_is_refused(backend: Any) -> None:
    """The plugin always writes the size."""
    row_of(backend, LARGE)
    compressor = zstandard.ZstdCompressor(write_content_size=False)
    replaced(compressor.compress(b"x" * 10**6))
    with pytest.raises(ResultUnreadable, match="does not state the size of its content"):
        backend.get_result("t1")


def test_bomb_that_states_too_small_a_size_is_corrupt(backend: Any) -> None:
    """No more than the stated size is decompressed."""
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
    """Other tasks stay readable."""
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
def test_frame_that_claims_to_be_empty_is_checked(
    backend: Any, traceback: str, change: Any
) -> None:
    """A changed frame must not silently lose a traceback."""
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
    """Each problem has its own check id."""
    configure(zstd=options)
    expected = [f"django_celery_results_zstd.{one}" for one in ids]
    assert expected == [message.id for message in check_plugin_settings()]


def test_wrong_setting_stores_nothing(configure: Configure, make_backend: MakeBackend) -> None:
    """The setting is not silently ignored."""
    configure(CODINGS=["zstd"], zstd={"LEVEL": 23})
    with pytest.raises(BackendMisconfigured, match=r"\['LEVEL'\] is 23; it has to be a whole"):
        make_backend().store_result("t1", LARGE, "SUCCESS")


# -- Kombu's method of the same name -------------------------------------------------


@pytest.fixture
def kombus(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of Kombu's own ``zstd`` coding, registered here even if its library is missing."""
    for known in ("_encoders", "_decoders", "_aliases"):
        monkeypatch.setattr(compression, known, dict(getattr(compression, known)))
    encode, decode = zstandard.ZstdCompressor().compress, zstandard.ZstdDecompressor().decompress
    compression.register(encode, decode, "application/zstd", aliases=["zstd", "zstandard"])
    return "application/zstd"


def test_name_selects_this_plugins_coding(
    kombus: str, configure: Configure, make_backend: MakeBackend
) -> None:
    """Kombu's coding has another name, and each row is read by the coding that it names."""
    for number, name in enumerate(("zstd", kombus)):
        configure(CODINGS=[name])
        assert f"utf-8, {name}" == row_of(make_backend(), LARGE, f"t{number}").content_encoding
    assert [LARGE, LARGE] == [make_backend().get_result(one) for one in ("t0", "t1")]


def test_name_selects_no_coding_while_the_plugin_is_disabled(
    kombus: str, backend: Any, configure: Configure, make_backend: MakeBackend
) -> None:
    """Above all not Kombu's, which lacks a size limit; stored rows stay readable."""
    row_of(backend, LARGE)
    configure(CODINGS=["zstd"], DISABLED_PLUGINS=["zstd"])
    expected = f"the plugin 'zstd', which is disabled .*write '{kombus}'"
    with pytest.raises(BackendMisconfigured, match=expected):
        make_backend()
    configure(DISABLED_PLUGINS=["zstd"])
    assert LARGE == make_backend().get_result("t1")


# -- Off -----------------------------------------------------------------------------


@pytest.mark.parametrize("keys", [{}, {"DISABLED_PLUGINS": ["zstd"]}], ids=["unused", "disabled"])
def test_old_rows_are_readable_when_it_is_off(
    backend: Any, configure: Configure, make_backend: MakeBackend, keys: dict[str, Any]
) -> None:
    """Its coding is not selected, or the plugin is disabled; new rows are not compressed."""
    row_of(backend, LARGE)
    configure(**keys)
    own = make_backend()
    assert LARGE == own.get_result("t1")
    assert "utf-8" == row_of(own, LARGE, "t2").content_encoding
