"""``manage.py celery_results rotate``: its output."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from fernet_rotating import IDS, LOST, NEW, OLD, Site, keys, rotate, store

from django_celery_results.models import TaskResult
from django_celery_results_fernet import rotate_command

pytestmark = pytest.mark.django_db


class Terminal(StringIO):
    """An output that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return ``True``."""
        return True


def test_dry_run_counts_and_writes_nothing(site: Site) -> None:
    """It counts by kind and key, and also finds rows that cannot be decrypted."""
    store(site(codings=()), "plain")
    store(site(OLD), "t1", "t2")
    store(site(LOST), "lost")
    store(site(NEW), "new")
    before = list(TaskResult.objects.values())
    site(NEW, OLD)
    out = StringIO()
    with pytest.raises(CommandError, match=r"(?s)1 rows could not .*task 'lost'"):
        rotate("--dry-run", "--encrypt-plain", out=out)
    expected = [
        ["KIND", "KEY", "ROWS"],
        *sorted([["task", IDS[OLD], "2"], ["task", "plain", "1"]]),
        ["3", "rows", "would", "be", "re-encrypted.", "Nothing", "was", "written."],
    ]
    assert expected == [line.split() for line in out.getvalue().splitlines()]
    assert before == list(TaskResult.objects.values())


def test_terminal_shows_the_progress(site: Site) -> None:
    """In one line that is overwritten, then a summary."""
    store(site(OLD), *map(str, range(4)))
    site(NEW, OLD)
    printed = rotate("--batch-size", "2", out=Terminal())
    shown = [part.split("]")[1].split()[0] for part in printed.split("\r")[1:]]
    assert ["0%", "50%", "100%"] == shown
    assert printed.endswith(f"4 of 4\n4 rows were re-encrypted with the key {IDS[NEW]}.\n")


def test_verbosity_0_prints_nothing(site: Site) -> None:
    """Not even the progress on a terminal."""
    store(site(OLD), "t1")
    site(NEW, OLD)
    assert "" == rotate(out=Terminal(), verbosity=0)
    assert {"t1": IDS[NEW]} == keys()


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    """It also gives the default batch size."""
    with pytest.raises(SystemExit):
        call_command("celery_results", "rotate", "--help")
    printed = capsys.readouterr().out
    wanted = ["--dry-run", "--encrypt-plain", "--batch-size", "--database"]
    assert [] == [one for one in wanted if one not in printed]
    assert str(rotate_command.BATCH_SIZE) in printed
