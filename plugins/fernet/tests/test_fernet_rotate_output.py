"""``manage.py celery_results rotate``: what it says."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from fernet_rotating import IDS, LOST, NEW, OLD, Site, keys, rotate, store

from django_celery_results.models import TaskResult
from django_celery_results_fernet import rotate_command

pytestmark = pytest.mark.django_db


class Terminal(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_dry_run_counts_and_writes_nothing(site: Site) -> None:
    """By kind and key; it finds what could not be decrypted, too."""
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
        ["3", "rows", "would", "be", "encrypted", "anew.", "Nothing", "was", "written."],
    ]
    assert expected == [line.split() for line in out.getvalue().splitlines()]
    assert before == list(TaskResult.objects.values())


def test_a_terminal_shows_how_far_it_is(site: Site) -> None:
    """In one line that is written over, and a last one."""
    store(site(OLD), *map(str, range(4)))
    site(NEW, OLD)
    printed = rotate("--batch-size", "2", out=Terminal())
    shown = [part.split("]")[1].split()[0] for part in printed.split("\r")[1:]]
    assert ["0%", "50%", "100%"] == shown
    assert printed.endswith(f"4 of 4\n4 rows were encrypted anew with the key {IDS[NEW]}.\n")


def test_nothing_is_said_to_those_who_ask_for_quiet(site: Site) -> None:
    """With --verbosity 0, on a terminal too."""
    store(site(OLD), "t1")
    site(NEW, OLD)
    assert "" == rotate(out=Terminal(), verbosity=0)
    assert {"t1": IDS[NEW]} == keys()


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """And names its options."""
    with pytest.raises(SystemExit):
        call_command("celery_results", "rotate", "--help")
    printed = capsys.readouterr().out
    wanted = ["--dry-run", "--encrypt-plain", "--batch-size", "--database"]
    assert [] == [one for one in wanted if one not in printed]
    assert str(rotate_command.BATCH_SIZE) in printed
