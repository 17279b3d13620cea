"""``manage.py celery_results rotate``: which rows it re-encrypts, and which it leaves alone."""

from __future__ import annotations

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError
from django.db import connections
from fernet_rotating import IDS, LOST, NEW, OLD, Site, key_of, keys, rotate, store

from django_celery_results.models import ChordCounter, ChordPart, GroupResult, TaskResult
from django_celery_results.storages.database import DatabaseContents
from django_celery_results_fernet import rotate_command

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db


# -- Rows that are re-encrypted ------------------------------------------------------


def test_every_field_of_a_row_is_re_encrypted(site: Site) -> None:
    """Afterwards it is readable without the older key."""
    store(site(OLD), "t1", value={"a": 1})
    site(NEW, OLD)
    assert f"1 rows were re-encrypted with the key {IDS[NEW]}.\n" == rotate()
    row = TaskResult.objects.get()
    assert {IDS[NEW]} == {key_of(text) for text in (row.result, row.meta, row.traceback)}
    meta = site(NEW).get_task_meta("t1")
    assert ({"a": 1}, "Traceback") == (meta["result"], meta["traceback"])


def test_groups_and_chords_are_re_encrypted(site: Site) -> None:
    """Including chord bodies, and the results of parts without a row in the task table."""
    backend = site(OLD)
    backend.save_group("g", backend.app.GroupResult("g", [backend.app.AsyncResult("a")]))
    backend.apply_chord(("c", []), {"task": "body"})
    counter = ChordCounter.objects.get()
    form = {"content_type": "application/json", "content_encoding": "utf-8, fernet"}
    group = GroupResult.objects.get()
    ChordPart.objects.create(counter=counter, task_id="p", result=group.result, **form)
    site(NEW, OLD)
    assert rotate().startswith("3 rows were")
    texts = [
        GroupResult.objects.get().result,
        ChordCounter.objects.get().body,
        ChordPart.objects.get().result,
    ]
    assert [IDS[NEW]] * 3 == [key_of(text or "") for text in texts]
    assert [one.id for one in site(NEW).restore_group("g").results] == ["a"]


def test_row_under_the_newest_key_stays_unchanged(site: Site) -> None:
    """Byte for byte, so that a second run has nothing to do."""
    store(site(NEW, OLD), "t1")
    before = TaskResult.objects.values().get()
    assert rotate().startswith("0 rows were")
    assert before == TaskResult.objects.values().get()


def test_compression_inside_the_encryption_stays(site: Site) -> None:
    """Only the codings around it are undone."""
    store(site(OLD, codings=("zstd", "fernet")), "t1", value="words " * 10_000)
    site(NEW, OLD)
    rotate()
    row = TaskResult.objects.get()
    assert ("utf-8, zstd, fernet", True) == (row.content_encoding, len(row.result or "") < 1000)
    assert "words " * 10_000 == site(NEW).get_result("t1")


def test_coding_around_the_encryption_is_applied_again(site: Site) -> None:
    """As in a site that compresses last; a second run finds nothing to do."""
    codings = ("fernet", "gzip")
    store(site(OLD, codings=codings), "t1")
    site(NEW, OLD, codings=codings)
    assert rotate().startswith("1 rows were")
    assert "utf-8, fernet, application/x-gzip" == TaskResult.objects.get().content_encoding
    assert rotate().startswith("0 rows were")
    assert "secret" == site(NEW).get_result("t1")


def test_field_under_an_older_key_than_the_others_is_found(site: Site) -> None:
    """Arguments may be left by an earlier state."""
    store(site(OLD), "t1")
    older = TaskResult.objects.get().result
    store(site(NEW, OLD), "t2")
    TaskResult.objects.filter(task_id="t2").update(task_args=older)
    rotate()
    assert "secret" == site(NEW).get_task_meta("t2")["args"]


def test_field_without_encryption_is_found(site: Site) -> None:
    """It may be left by an earlier state, stored before encryption was on."""
    store(site(NEW), "t1")
    TaskResult.objects.update(task_args='"secret"')
    assert rotate().startswith("1 rows were")
    assert IDS[NEW] == key_of(TaskResult.objects.get().task_args or "")
    assert "secret" == site(NEW).get_task_meta("t1")["args"]


@pytest.mark.django_db(databases=["default", "secondary"])
def test_another_database_can_be_rotated(site: Site) -> None:
    """Even if the site's results now go to a cache."""
    store(site(OLD), "t1")
    store(site(OLD, url="django-db://secondary"), "t2")
    site(NEW, OLD, url="django-cache")
    assert rotate("--database", "secondary").startswith("1 rows were")
    assert IDS[NEW] == key_of(TaskResult.objects.using("secondary").get().result or "")
    assert {"t1": IDS[OLD]} == keys()


@pytest.mark.parametrize(("portion", "expected"), [(10**6, [2, 2, 1]), (1, [1, 1, 1, 1, 1])])
def test_batches_have_the_requested_size(
    site: Site, monkeypatch: pytest.MonkeyPatch, portion: int, expected: list[int]
) -> None:
    """Each is one transaction, or several if the contents are large."""
    monkeypatch.setattr(rotate_command, "PORTION", portion)
    store(site(OLD), *map(str, range(5)))
    sizes = []
    replace = DatabaseContents.replace

    def noting(contents: Any, changes: Any) -> int:
        sizes.append(len(changes))
        return replace(contents, changes)

    monkeypatch.setattr(DatabaseContents, "replace", noting)
    site(NEW, OLD)
    rotate("--batch-size", "2")
    assert expected == sizes
    assert {IDS[NEW]} == set(keys().values())


# -- Rows that are not encrypted -----------------------------------------------------


def test_plain_rows_stay_plain(site: Site) -> None:
    """Unless ``--encrypt-plain`` is given."""
    store(site(codings=()), "t1")
    site(NEW)
    assert rotate().startswith("0 rows were")
    assert {"t1": "utf-8"} == keys()


def test_plain_rows_can_be_encrypted(site: Site) -> None:
    """In the same run as the others; their compression stays."""
    store(site(codings=()), "plain", value={"a": 1})
    store(site(codings=("zstd",)), "zstd", value="words " * 999)
    store(site(OLD), "old")
    site(NEW, OLD)
    assert rotate("--encrypt-plain").startswith("3 rows were")
    assert dict.fromkeys(["plain", "zstd", "old"], IDS[NEW]) == keys()
    backend = site(NEW)
    assert ({"a": 1}, "words " * 999) == (backend.get_result("plain"), backend.get_result("zstd"))


def test_rows_of_older_releases_can_be_encrypted(site: Site) -> None:
    """They have bare arguments, and do not name their coding."""
    TaskResult.objects.create(
        task_id="t1", status="SUCCESS", result="[1]", task_args="(1, 'two')", traceback="at line 1"
    )
    site(NEW)
    rotate("--encrypt-plain")
    meta = site(NEW).get_task_meta("t1")
    assert ([1], "(1, 'two')", "at line 1") == (meta["result"], meta["args"], meta["traceback"])
    assert "two" not in str(TaskResult.objects.values().get())


def test_coding_with_a_similar_name_is_left_alone(site: Site) -> None:
    """It belongs to another plugin."""
    TaskResult.objects.create(task_id="t1", result="x", content_encoding="utf-8, fernet2")
    site(NEW)
    assert rotate().startswith("0 rows were")


# -- Rows that cannot be decrypted ---------------------------------------------------


def test_missing_key_is_named_and_its_rows_stay(site: Site) -> None:
    """All other rows are re-encrypted."""
    store(site(LOST), *(f"lost{number:02}" for number in range(12)))
    store(site(OLD), "t1")
    before = dict(TaskResult.objects.values_list("task_id", "result"))
    site(NEW, OLD)
    out = StringIO()
    with pytest.raises(CommandError) as raised:
        rotate(out=out)
    message = str(raised.value)
    assert message.startswith("12 rows could not be decrypted and were left unchanged:\n- the key")
    assert f"{IDS[LOST]} is missing" in message
    assert "task 'lost00', task 'lost01'" in message
    assert message.endswith("task 'lost09' and 2 more")
    assert "1 rows were re-encrypted" in out.getvalue()
    after = dict(TaskResult.objects.values_list("task_id", "result"))
    assert ["t1"] == [one for one in after if after[one] != before[one]]


def test_number_of_separate_reasons_is_limited(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a reason per row, such as the name of a missing file."""
    monkeypatch.setattr(rotate_command, "REASONS", 2)
    for number in range(4):
        store(site(Fernet.generate_key().decode()), f"lost{number}")
    site(NEW)
    with pytest.raises(CommandError) as raised:
        rotate()
    said = [line.rpartition(": ")[0] for line in str(raised.value).splitlines()[1:]]
    assert (3, 1) == (len(said), said.count("- other reasons"))
    assert "other reasons: task 'lost2', task 'lost3'" in str(raised.value)


def test_corrupt_content_is_named_and_stays(site: Site) -> None:
    """With the reason."""
    store(site(OLD), "cut", "never")
    cut = TaskResult.objects.get(task_id="cut").result or ""
    TaskResult.objects.filter(task_id="cut").update(result=cut[:-16])
    TaskResult.objects.filter(task_id="never").update(result=b64encode(b"x").decode())
    site(NEW, OLD)
    with pytest.raises(CommandError) as raised:
        rotate()
    assert f"{IDS[OLD]} was changed or truncated; restore it" in str(raised.value)
    assert "did not encrypt it: task 'never'" in str(raised.value)
    assert cut[:-16] == TaskResult.objects.get(task_id="cut").result


@pytest.mark.parametrize(
    ("site_keys", "url", "says"),
    [
        ((), "django-db", "no key to encrypt with"),
        ((NEW,), "django-cache", "not to a Django database"),
    ],
)
def test_sites_without_keys_or_rows_are_refused(
    site: Site, site_keys: tuple[str, ...], url: str, says: str
) -> None:
    """The error says what to do."""
    site(*site_keys, codings=(), url=url)
    with pytest.raises(CommandError, match=says):
        rotate()


def test_wrong_keys_are_refused(site: Site) -> None:
    """The error does not show them."""
    site("x" * 9, codings=())
    with pytest.raises(CommandError, match="it has to be a list of Fernet keys") as raised:
        rotate()
    assert "x" * 9 not in str(raised.value)


# -- Other processes write meanwhile -------------------------------------------------


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Call ``act`` between the reading of a batch and its writing."""
    replace = DatabaseContents.replace

    def acting(contents: Any, changes: Any) -> int:
        act()
        return replace(contents, changes)

    monkeypatch.setattr(DatabaseContents, "replace", acting)


def test_newer_write_is_never_overwritten(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's result stays, and the summary counts it."""
    site(OLD).store_result("t1", None, "STARTED")
    backend = site(NEW, OLD)
    meanwhile(monkeypatch, lambda: backend.store_result("t1", "newer", "SUCCESS"))
    printed = rotate()
    assert "0 rows were" in printed
    assert "1 were changed or deleted by another process meanwhile." in printed
    assert "newer" == backend.get_result("t1")


def write(backend: Any, number: int) -> None:
    """Store a result as a thread of a worker does."""
    try:
        backend.store_result(str(number), number, "SUCCESS")
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_workers_can_write_meanwhile(site: Site) -> None:
    """In the end all their results are there, under the newest key."""
    numbers = range(40)
    backend = site(OLD)
    for number in numbers:
        backend.store_result(str(number), None, "STARTED")
    backend = site(NEW, OLD)
    with ThreadPoolExecutor(2) as pool:
        writes = [pool.submit(write, backend, number) for number in numbers]
        while not all(one.done() for one in writes):
            rotate("--batch-size", "5", verbosity=0)
    rotate()
    assert [None] * len(numbers) == [one.result() for one in writes]
    assert {str(number): IDS[NEW] for number in numbers} == keys()
    assert list(numbers) == [backend.get_result(str(number)) for number in numbers]


def test_interruption_leaves_whole_batches(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run continues there."""
    store(site(OLD), *map(str, range(5)))
    site(NEW, OLD)
    with monkeypatch.context() as patched:
        left = [KeyboardInterrupt(), None]

        def act() -> None:
            error = left.pop()
            if error is not None:
                raise error

        meanwhile(patched, act)
        with pytest.raises(CommandError, match=r"Interrupted; 2 rows .* Run it again") as raised:
            rotate("--batch-size", "2")
    assert 130 == raised.value.returncode
    assert [IDS[NEW]] * 2 + [IDS[OLD]] * 3 == list(keys().values())
    assert rotate().startswith("3 rows were")
    assert {IDS[NEW]} == set(keys().values())
