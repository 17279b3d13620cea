"""The plugin ``retention``: which rule decides, its effect, and which rules are wrong."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from celery.app.task import Context
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.models import TaskResult
from django_celery_results.testing import check_plugin_settings
from tests.backends.common import Chord

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = pytest.mark.django_db

RULES = [
    {"TASK": "ping", "KEEP": 0},
    {"STATE": "FAILURE", "KEEP": timedelta(days=30)},
    {"TASK": "reports.*", "KEEP": timedelta(days=365)},
    {"TASK": "audit.?", "STATE": ["SUCCESS", "REVOKED"], "KEEP": "forever"},
]


@pytest.fixture
def rules(configure: Configure) -> None:
    """A site with the rules above."""
    configure(retention={"RULES": RULES})


def store(backend: Any, name: str | None, state: str = "SUCCESS") -> None:
    """Store a result of the named task."""
    result = KeyError("x") if state == "FAILURE" else 1
    backend.store_result("t1", result, state, request=Context(id="t1", task=name))


# -- Which rule decides --------------------------------------------------------------


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(
    ("name", "state", "days"),
    [
        ("ping", "SUCCESS", 0),
        ("ping", "FAILURE", 0),
        ("reports.yearly", "SUCCESS", 365),
        ("reports.yearly", "FAILURE", 30),
        ("shop.pay", "FAILURE", 30),
        ("shop.pay", "SUCCESS", None),
        ("Reports.yearly", "SUCCESS", None),
        (None, "FAILURE", 30),
        (None, "SUCCESS", None),
    ],
)
def test_first_rule_that_matches_decides(
    make_backend: MakeBackend, name: str | None, state: str, days: int | None
) -> None:
    """Even if the name is not stored; without a match, Celery's settings decide."""
    store(make_backend(), name, state)
    expires = TaskResult.objects.get(task_id="t1").date_expires
    assert days == (expires and round((expires - timezone.now()) / timedelta(days=1)))


@pytest.mark.usefixtures("rules")
def test_result_is_kept_forever(make_backend: MakeBackend) -> None:
    """Cleanup ignores it, however short ``result_expires`` is."""
    backend = make_backend(result_expires=1)
    store(backend, "audit.1")
    TaskResult.objects.update(date_done=timezone.now() - timedelta(days=999))
    backend.cleanup()
    assert "SUCCESS" == backend.get_state("t1")


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(("name", "state"), [("ping", "PENDING"), ("reports.x", "SUCCESS")])
@pytest.mark.parametrize("url", ["django-db", "django-cache"])
def test_result_with_a_retention_of_0_is_gone_after_the_cleanup(
    make_backend: MakeBackend, url: str, name: str, state: str
) -> None:
    """On both backends; other results stay."""
    caches["default"].clear()
    store(make_backend(url), name)
    backend = make_backend(url)
    backend.cleanup()
    assert state == backend.get_state("t1")


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize("url", ["django-db", "django-cache"])
def test_chord_gets_results_that_are_not_kept(make_backend: MakeBackend, url: str) -> None:
    """A cache never stores them; a cleanup deletes their rows before the header has ended."""
    caches["default"].clear()
    conf = {"task_always_eager": True, "result_chord_join_timeout": 0.05}
    backend = make_backend(url, **conf)
    chord = Chord(backend)
    chord.start("a", "b", "c")
    chord.done("a", {"n": 1}, task="ping")
    chord.done("b", 2, task="reports.x")
    backend.cleanup()
    chord.done("c", 3, task="ping")
    assert [[{"n": 1}, 2, 3]] == chord.sent


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize("url", ["django-db", "django-cache"])
def test_chord_fails_for_a_failure_that_is_not_kept(
    make_backend: MakeBackend, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log still shows the failure."""
    caches["default"].clear()
    backend = make_backend(url, task_always_eager=True, result_chord_join_timeout=0.05)
    chord = Chord(backend)
    chord.start("a", "b")
    chord.failed("a", KeyError("x"), task="ping")
    backend.cleanup()
    chord.done("b", 2, task="ping")
    assert [] == chord.sent
    assert "a ended as FAILURE" in caplog.text


# -- The command ---------------------------------------------------------------------


@pytest.mark.usefixtures("rules")
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "reports.yearly",
            [
                "STATE    RULE  KEPT",
                "FAILURE  2     30 days, 0:00:00",
                "REVOKED  3     365 days, 0:00:00",
                "SUCCESS  3     365 days, 0:00:00",
            ],
        ),
        (
            "audit.1",
            [
                "STATE    RULE  KEPT",
                "FAILURE  2     30 days, 0:00:00",
                "REVOKED  4     forever",
                "SUCCESS  4     forever",
            ],
        ),
        (
            "ping",
            [
                "STATE    RULE  KEPT",
                "FAILURE  1     not kept",
                "REVOKED  1     not kept",
                "SUCCESS  1     not kept",
            ],
        ),
        (
            "shop.pay",
            [
                "STATE    RULE  KEPT",
                "FAILURE  2     30 days, 0:00:00",
                "REVOKED  -     as result_expires says",
                "SUCCESS  -     as result_expires says",
            ],
        ),
    ],
)
def test_command_explains_a_task(name: str, lines: list[str]) -> None:
    """For each state it shows the number of the rule and the retention."""
    out = StringIO()
    call_command("celery_results", "retention", name, stdout=out)
    assert lines == out.getvalue().splitlines()


# -- Checks --------------------------------------------------------------------------


def reported(configure: Configure, rules: Any) -> list[tuple[str, str]]:
    """Return the ids and messages of the checks."""
    configure(retention={"RULES": rules})
    prefix = "django_celery_results_retention."
    return [(str(one.id).removeprefix(prefix), one.msg) for one in check_plugin_settings()]


def test_right_rules_are_not_reported(configure: Configure) -> None:
    """An empty list is right, too."""
    assert ([], []) == (reported(configure, RULES), reported(configure, []))


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"ping": 0}, "a list of rules."),
        (["ping"], "rule 1 is wrong: it has to be a dict."),
        ([{"TASK": "ping"}], "KEEP has to be 'forever', or a timedelta, or seconds, not below"),
        ([{"KEEP": float("inf")}], "rule 1 is wrong: KEEP has to be 'forever', or a timedelta"),
        ([{"KEEP": 10**400}], "rule 1 is wrong: KEEP has to be 'forever', or a timedelta"),
        ([{"KEEP": timedelta.max}], "rule 1 is wrong: KEEP has to be 'forever', or a timedelta"),
        ([{"KEEP": -1}], "rule 1 is wrong: KEEP has to be 'forever'"),
        ([{"KEEP": 0, "TASK": 5}], "TASK has to be a task's name, with * and ? as wildcards."),
        ([RULES[0], {"KEEP": 0, "STATE": "STARTED"}], "rule 2 is wrong: STATE has to be one or"),
        ([{"KEEP": 0, "STATE": []}], "STATE has to be one or more of FAILURE, REVOKED, SUCC"),
        ([{"KEEP": 0, "STATE": 5}], "STATE has to be one or more of FAILURE, REVOKED, SUCC"),
        ([{"KEEP": 0, "TSAK": "ping"}], "the key 'TSAK' is not one of TASK, STATE, KEEP."),
    ],
)
def test_wrong_rule_is_reported(configure: Configure, rules: Any, words: str) -> None:
    """The message gives its number and the right form."""
    ((check_id, message),) = reported(configure, rules)
    assert ("E002", True) == (check_id, words in message)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            [{"KEEP": 60}, {"TASK": "ping", "KEEP": 0}],
            "rule 2 (ping: not kept) never applies, because rule 1 (*: 0:01:00) comes before it.",
        ),
        (
            [{"TASK": "a", "KEEP": 60}, {"TASK": "a", "STATE": "FAILURE", "KEEP": "forever"}],
            (
                "rule 2 (a FAILURE: forever) never applies, because rule 1 (a: 0:01:00) comes"
                " before it."
            ),
        ),
        (
            [{"TASK": "a.*", "KEEP": 60}, {"TASK": "a.b?.*", "KEEP": 0}],
            (
                "rule 2 (a.b?.*: not kept) never applies, because rule 1 (a.*: 0:01:00) comes"
                " before it."
            ),
        ),
        (
            [{"TASK": "a.?", "KEEP": 60}, {"TASK": "a.b", "KEEP": 0}],
            "rule 2 (a.b: not kept) never applies, because rule 1 (a.?: 0:01:00) comes before it.",
        ),
    ],
)
def test_rule_that_never_applies_is_reported(
    configure: Configure, rules: Any, message: str
) -> None:
    """A general rule hides the specific rule after it."""
    expected = f"DJANGO_CELERY_RESULTS['retention']['RULES']: {message}"
    assert [("W002", expected)] == reported(configure, rules)


def test_rule_that_applies_to_some_tasks_is_not_reported(configure: Configure) -> None:
    """``?`` does not match all that a later ``*`` does."""
    rules = [{"TASK": "a.?", "KEEP": 60}, {"TASK": "a.*", "KEEP": 0}, {"TASK": "b", "KEEP": 0}]
    assert [] == reported(configure, rules)


def test_bracket_in_a_name_stands_for_itself(configure: Configure) -> None:
    """Unlike in a shell pattern."""
    configure(retention={"RULES": [{"TASK": "a[bc]*", "KEEP": 0}, {"KEEP": "forever"}]})
    assert ["not kept", "forever"] == [explained("a[bc]d"), explained("ab")]


def test_command_reports_wrong_rules(configure: Configure) -> None:
    """With the same message as the check."""
    configure(retention={"RULES": "all"})
    with pytest.raises(CommandError, match="is 'all'; it has to be a list of rules"):
        call_command("celery_results", "retention", "ping")


def explained(name: str) -> str:
    """Return the retention that the command shows for SUCCESS."""
    out = StringIO()
    call_command("celery_results", "retention", name, stdout=out)
    return out.getvalue().splitlines()[-1].split("  ")[-1].strip()


def test_wrong_rules_store_nothing(configure: Configure, make_backend: MakeBackend) -> None:
    """No result is kept for an unintended time."""
    configure(retention={"RULES": "all"})
    with pytest.raises(BackendMisconfigured, match="is 'all'; it has to be a list of rules"):
        store(make_backend(), "ping")
