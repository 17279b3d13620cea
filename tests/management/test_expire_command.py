"""``manage.py celery_results expire``: what it deletes and what it prints."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery, states
from django.core.management import CommandError, call_command

from django_celery_results import hookimpl
from django_celery_results.management.expire_command import parse_age
from django_celery_results.models import ChordCounter, GroupResult
from tests.due import DAY, ago, ids, make

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from django_celery_results.records import ExpiryBatch

    UseApp = Callable[..., None]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def use_app() -> Iterator[UseApp]:
    """Creates the site's Celery app; by default, one with the backend ``django-db``."""
    from celery._state import get_current_app

    before: Any = get_current_app()

    def use(backend: str = "django-db", **conf: Any) -> None:
        app = Celery("site", set_as_current=False)
        app.conf.update(result_backend=backend, **conf)
        app.set_current()

    use()
    yield use
    before.set_current()


class Listener:
    """A plugin that records what expires."""

    django_celery_results_name = "listener"

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.seen: list[str] = []

    @hookimpl
    def before_expire(self, batch: ExpiryBatch) -> None:
        """Record the batch; raise from the second batch on if told to."""
        if self.error is not None and self.seen:
            raise self.error
        self.seen += batch.ids


class Terminal(StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        """Return true."""
        return True


def expire(*arguments: str, out: StringIO | None = None, **options: Any) -> str:
    """Run the command; return its output."""
    out = out or StringIO()
    call_command("celery_results", "expire", *arguments, stdout=out, no_color=True, **options)
    return out.getvalue()


def test_what_is_older_than_result_expires_goes(use_app: UseApp) -> None:
    """The output counts tasks, groups and chords in one line."""
    use_app(result_expires=3600)
    make(3)
    make(1, 0, prefix="young")
    GroupResult.objects.create(group_id="g")
    GroupResult.objects.update(date_done=ago(DAY))
    ChordCounter.objects.create(group_id="c", sub_tasks="[]", count=1)
    ChordCounter.objects.update(date_created=ago(40 * DAY))
    assert "Deleted 3 tasks, 1 groups, 1 rows of abandoned chords.\n" == expire()
    assert ["young0"] == ids()


def test_without_an_age_at_all_only_own_dates_count(use_app: UseApp) -> None:
    """Results with their own expiry date still expire, as in ``cleanup()``."""
    use_app(result_expires=None)
    make(1, 100 * DAY)
    make(1, prefix="own", date_expires=ago(1))
    expire()
    assert ["t0"] == ids()


def test_an_age_may_be_given() -> None:
    """The given age overrides ``result_expires``."""
    make(1, 3 * DAY, prefix="old")
    make(1, 1.5 * DAY, prefix="newer")
    expire("--older-than", "2d")
    assert ["newer0"] == ids()


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30s", timedelta(seconds=30)),
        ("15m", timedelta(minutes=15)),
        ("12h", timedelta(hours=12)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("0s", timedelta(0)),
    ],
)
def test_ages(text: str, age: timedelta) -> None:
    """An age is a number and a unit."""
    assert age == parse_age(text)


@pytest.mark.parametrize(
    "text", ["", "7", "d", "7 d", "-7d", "7D", "1.5h", "60000w", "9" * 10 + "d"]
)
def test_what_is_no_age(text: str) -> None:
    """The error shows the form of an age."""
    with pytest.raises(ArgumentTypeError, match="30s, 15m, 12h, 7d or 2w"):
        parse_age(text)


def test_states_may_be_chosen() -> None:
    """Groups and chords lack a state, so they stay."""
    for state in (states.SUCCESS, states.FAILURE, states.REVOKED):
        make(1, 2 * DAY, prefix=state, status=state)
    GroupResult.objects.create(group_id="g")
    GroupResult.objects.update(date_done=ago(2 * DAY))
    assert "Deleted 2 tasks.\n" == expire("--state", "FAILURE", "--state", "REVOKED")
    assert (["SUCCESS0"], 1) == (ids(), GroupResult.objects.count())


def test_what_is_under_way_stays_though_it_is_chosen() -> None:
    """It stays until EXPIRE_UNFINISHED_AFTER has passed."""
    make(1, 2 * DAY, prefix="stays", status=states.STARTED)
    make(1, 31 * DAY, prefix="goes", status=states.STARTED)
    expire("--state", "STARTED", "--older-than", "1s")
    assert ["stays0"] == ids()


@pytest.mark.parametrize(
    ("glob", "gone"),
    [
        ("shop.mail.send", ["shop.mail.send"]),
        ("shop.*", ["shop.mail.send", "shop.mail2send"]),
        ("*.send", ["shop.mail.send"]),
        ("shop.mail?send", ["shop.mail.send", "shop.mail2send"]),
        ("[a+](b)%_|", ["[a+](b)%_|"]),
        ("SHOP.*", []),
        ("shop", []),
    ],
)
def test_names_may_be_chosen(glob: str, gone: list[str]) -> None:
    """Only * and ? are wildcards; every other character matches itself."""
    names = ["shop.mail.send", "shop.mail2send", "[a+](b)%_|", "other"]
    for number, name in enumerate(names):
        make(1, 2 * DAY, prefix=f"n{number}-", task_name=name)
    make(1, 2 * DAY, prefix="nameless")
    expire("--task", glob)
    left = {f"n{names.index(name)}-0" for name in names if name not in gone}
    assert {*left, "nameless0"} == set(ids())


def test_a_dry_run_counts_and_deletes_nothing() -> None:
    """It counts by kind and state."""
    make(2, 2 * DAY)
    make(1, 2 * DAY, prefix="bad", status=states.FAILURE)
    make(1, 0, prefix="own", date_expires=ago(60))
    lines = expire("--dry-run").splitlines()
    expected = [
        ["KIND", "STATE", "ROWS"],
        ["chord", "-", "0"],
        ["group", "-", "0"],
        ["task", "FAILURE", "1"],
        ["task", "SUCCESS", "3"],
        ["Nothing", "was", "deleted."],
    ]
    assert expected == [line.split() for line in lines]
    assert 4 == len(ids())


def test_a_dry_run_of_chosen_tasks_counts_tasks_alone() -> None:
    """Choosing tasks excludes groups and chords from the deletion."""
    make(1, 2 * DAY)
    assert ["KIND", "task", "Nothing"] == [
        line.split()[0] for line in expire("--dry-run", "--state", "SUCCESS").splitlines()
    ]


@pytest.mark.django_db(databases=["default", "secondary"])
def test_another_database_may_be_named(use_app: UseApp) -> None:
    """This works even if the site's results go to a cache."""
    use_app("django-cache")
    make(1, 2 * DAY)
    make(2, 2 * DAY, using="secondary")
    assert "Deleted 2 tasks, 0 groups, 0 rows" in expire("--database", "secondary")
    assert ["t0"] == ids()


def test_results_that_are_elsewhere_are_refused(use_app: UseApp) -> None:
    """The error says what to do."""
    use_app("django-cache")
    with pytest.raises(CommandError, match=r"go to django-cache.*name it with --database"):
        expire()


def test_plugins_see_what_goes(settings: Settings) -> None:
    """The batches have the requested size."""
    listener = Listener()
    settings.DJANGO_CELERY_RESULTS = {"PLUGINS": [listener]}
    make(3, 2 * DAY)
    expire("--batch-size", "2")
    assert ["t0", "t1", "t2"] == sorted(listener.seen)


def test_what_a_plugin_failed_to_take_is_an_error(settings: Settings) -> None:
    """All other results are deleted first."""
    settings.DJANGO_CELERY_RESULTS = {"PLUGINS": [Listener(OSError())]}
    make(3, 2 * DAY)
    out = StringIO()
    with pytest.raises(CommandError, match="1 tasks were kept because a before_expire") as raised:
        expire("--batch-size", "2", out=out)
    assert 1 == raised.value.returncode
    assert "Deleted 2 tasks, 0 groups" in out.getvalue()


def test_an_interruption_leaves_whole_batches(settings: Settings) -> None:
    """The command reports it, and its exit status is the shell's for an interruption."""
    listener = Listener(KeyboardInterrupt())
    settings.DJANGO_CELERY_RESULTS = {"PLUGINS": [listener]}
    make(5, 2 * DAY)
    with pytest.raises(CommandError, match="Interrupted after deleting 2 tasks, 0") as raised:
        expire("--batch-size", "2")
    assert 130 == raised.value.returncode
    assert sorted({"t0", "t1", "t2", "t3", "t4"} - set(listener.seen)) == ids()


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_batch_has_at_least_one_row(size: str) -> None:
    """Any other size is refused."""
    with pytest.raises(CommandError, match="is not a whole number above zero"):
        expire("--batch-size", size)


def test_a_terminal_shows_how_far_it_is() -> None:
    """It overwrites one line, and prints a last one."""
    make(4, 2 * DAY)
    printed = expire("--batch-size", "2", out=Terminal())
    states_shown = [part.split("]")[1].split() for part in printed.split("\r")[1:]]
    assert ["0%", "50%", "100%"] == [words[0] for words in states_shown[:3]]
    assert ["2", "of", "4"] == states_shown[1][1:]
    assert printed.endswith("4 of 4\nDeleted 4 tasks, 0 groups, 0 rows of abandoned chords.\n")


def test_a_terminal_may_show_that_there_is_nothing() -> None:
    """The progress bar is full then."""
    assert "\r[##############################] 100% 0 of 0" in expire(out=Terminal())


def test_nothing_is_said_to_those_who_ask_for_quiet() -> None:
    """With --verbosity 0, the command prints nothing on a terminal either."""
    make(1, 2 * DAY)
    assert "" == expire(out=Terminal(), verbosity=0)
    assert [] == ids()
