"""The result backend URL, and names in it that are not valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from celery.exceptions import ImproperlyConfigured as CeleryImproperlyConfigured
from django.core.exceptions import ImproperlyConfigured

from django_celery_results.backends.url import BackendURL, without_secrets
from django_celery_results.exceptions import BackendMisconfigured
from django_celery_results.options import require_known

if TYPE_CHECKING:
    from django_celery_results.testing.fixtures import MakeBackend


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, BackendURL()),
        ("", BackendURL()),
        ("mystore", BackendURL(scheme="mystore")),
        ("django-db://", BackendURL(scheme="django-db")),
        ("django-db:///", BackendURL(scheme="django-db")),
        ("django-db://Reports", BackendURL(scheme="django-db", alias="Reports")),
        ("my_store://here", BackendURL(scheme="my_store", alias="here")),
        (
            "mystore://user:word@host:1/a/b?x=1&y=",
            BackendURL("mystore", "user:word@host:1", "a/b", {"x": "1", "y": ""}),
        ),
        ("s3://?x=a%20b", BackendURL("s3", "", "", {"x": "a b"})),
        ("s3://[bad", BackendURL("s3", "[bad")),
    ],
)
def test_a_url_has_parts(url: str | None, expected: BackendURL) -> None:
    """Every part may be empty."""
    assert expected == BackendURL.parse(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("django-db", "django-db"),
        ("django-db://", "django-db://"),
        ("my_store://host/path", "my_store://host/path"),
        ("s3://user:pass@host:1/a?token=x", "s3://user:**@host:1/a"),
        ("s3://user:p@ss/word@host", "s3://user:**@host"),
        ("s3://user@host", "s3://user@host"),
        ("s3://:pass@host", "s3://:**@host"),
    ],
)
def test_a_url_can_be_shown(url: str, expected: str) -> None:
    """Its secrets are left out, and no slash is added."""
    assert expected == without_secrets(url)


def test_malformed_options_are_an_error() -> None:
    """The message does not contain the password."""
    with pytest.raises(BackendMisconfigured, match="'serializer'") as caught:
        BackendURL.parse("mystore://user:secret@host?serializer")
    assert "secret" not in str(caught.value)


def test_known_names_are_accepted() -> None:
    require_known("option", ["a"], ["a", "b"], "the URL")


def test_an_unknown_name_lists_the_valid_ones() -> None:
    """The closest one is suggested."""
    with pytest.raises(BackendMisconfigured, match=r"Did you mean 'second'\? Valid: first, second"):
        require_known("database alias", ["secnd"], ["second", "first"], "the URL")


def test_an_unknown_name_where_none_is_valid_is_refused() -> None:
    with pytest.raises(BackendMisconfigured, match=r"not a valid path\. Valid: none\."):
        require_known("path", ["x"], (), "the URL")


@pytest.mark.parametrize("kind", [ImproperlyConfigured, CeleryImproperlyConfigured])
def test_the_error_is_celerys_and_djangos(kind: type[Exception]) -> None:
    """Code that handles either error catches it."""
    assert issubclass(BackendMisconfigured, kind)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("django-db", "django-db://"),
        ("django-db://", "django-db://"),
        ("django-db://secondary", "django-db://secondary"),
        ("django-cache://redis?serializer=json", "django-cache://redis"),
    ],
)
def test_as_uri_is_the_url(make_backend: MakeBackend, url: str, expected: str) -> None:
    """Only the options are left out."""
    assert expected == make_backend(url).as_uri()
