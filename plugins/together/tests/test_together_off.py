"""A plugin is disabled or uninstalled: stored results stay readable, or the error names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.core.cache import caches
from together_hiding import answers
from together_site import ALL, CODINGS
from together_tasks import CARD, MASK, PASSWORD, written

from tests.backends.conftest import request_of

if TYPE_CHECKING:
    from pathlib import Path

    from django_celery_results.testing.fixtures import MakeBackend
    from tests.configuring import Configure

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("use")]
#: For tests in which another process reads the rows.
committed = pytest.mark.django_db(transaction=True)

ACCEPTED = ["json", "msgspec-json"]
VALUES = {
    "none": None,
    "small": {"user": "ann", "password": PASSWORD},
    "large": written(1, PASSWORD, "a note"),
}


class Stored:
    """Results of every kind, stored with all plugins active."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.ids = {name: f"{name}-{uuid4().hex}" for name in (*VALUES, "failed")}
        for name, value in VALUES.items():
            request = request_of(argsrepr=f"('{CARD}',)", labels={"tenant": 3})
            backend.store_result(self.ids[name], value, "SUCCESS", request=request)
        error = ValueError(f"paid with {CARD}")
        backend.mark_as_failure(self.ids["failed"], error, traceback=f"Traceback of {CARD}")

    def read(self, backend: Any) -> dict[str, Any]:
        """Return all metadata of the results; exceptions as text, because no two are equal."""
        metas = {name: backend.get_task_meta(task_id) for name, task_id in self.ids.items()}
        return {name: meta | {"result": str(meta["result"])} for name, meta in metas.items()}


@pytest.fixture
def site(make_backend: MakeBackend) -> Any:
    """Returns a function that makes the site's backend with a serializer."""

    def make(url: str = "django-db", serializer: str = "msgspec-json") -> Any:
        conf = {"result_serializer": serializer, "result_accept_content": ACCEPTED}
        return make_backend(url, result_extended=True, **conf)

    return make


@pytest.mark.parametrize("url", ["django-db", "django-cache"])
@pytest.mark.parametrize("off", ALL)
def test_old_results_are_readable_when_one_plugin_is_off(
    site: Any, use: Configure, url: str, off: str
) -> None:
    """They are unchanged, and new results are stored without it."""
    caches["default"].clear()
    stored = Stored(site(url))
    before = stored.read(stored.backend)
    assert MASK in before["small"]["result"]
    rest = [one for one in CODINGS if one != off]
    use(*[one for one in ALL if one != off], CODINGS=rest)
    backend = site(url, "json" if off == "msgspec" else "msgspec-json")
    assert before == stored.read(backend)
    contents = contents_of(backend, VALUES["large"])
    expected = "json" if off == "msgspec" else "x-msgspec+json"
    assert (f"application/{expected}", ", ".join(["utf-8", *rest])) == contents


def contents_of(backend: Any, value: Any) -> tuple[str, str]:
    """Store ``value``, and return its content type and encoding."""
    backend.store_result("new", value, "SUCCESS")
    (found,) = backend.results.load(["new"], primary=True)
    return found.contents.content_type, found.contents.content_encoding


@committed
@pytest.mark.parametrize(
    ("hidden", "unread", "missing"),
    [
        ("zstd", ["large"], "content coding 'zstd' is not installed"),
        ("fernet", ["none", "small", "large"], "content coding 'fernet' is not installed"),
        ("offload", ["large"], "content coding 'offload' is not installed"),
        (
            "msgspec",
            ["none", "small", "large"],
            "no serializer is installed for content type 'application/x-msgspec+json'",
        ),
    ],
)
def test_missing_distribution_is_named(
    site: Any, tmp_path: Path, hidden: str, unread: list[str], missing: str
) -> None:
    """In the error of each result that needs it, and of a site whose settings still name it."""
    stored = Stored(site())
    found = answers(tmp_path, [stored.ids[name] for name in VALUES], hidden)
    assert [one for one in ALL if one != hidden] == found["plugins"]
    for name, task_id in stored.ids.items():
        answer = str(found["results"].get(task_id))
        install = f"install django-celery-results-{hidden}"
        assert (name in unread) == answer.startswith("ResultUnreadable: "), answer
        assert (name in unread) == (f"{missing}; {install}" in answer), answer
    assert f"install django-celery-results-{hidden}" in found["as before"]


@committed
def test_plugins_without_stored_contents_can_be_uninstalled(site: Any, tmp_path: Path) -> None:
    """All of them at once, together with their apps."""
    hidden = ["archive", "labels", "prometheus", "redact", "retention"]
    stored = Stored(site())
    found = answers(tmp_path, [stored.ids["small"], stored.ids["none"]], *hidden)
    assert ["fernet", "msgspec", "offload", "zstd"] == found["plugins"]
    assert [{"user": "ann", "password": MASK}, None] == list(found["results"].values())
    assert "" == found["as before"]
