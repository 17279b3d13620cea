"""The URLs: their names, their patterns and their older forms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from django_celery_results import urls, views

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

NOUN_FIRST = [
    ("task/done", "celery-is_task_successful", views.is_task_successful),
    ("task/status", "celery-task_status", views.task_status),
    ("group/done", "celery-is_group_successful", views.is_group_successful),
    ("group/status", "celery-group_status", views.group_status),
]
ID_FIRST = [
    ("done", "celery-is_task_successful", views.is_task_successful),
    ("status", "celery-task_status", views.task_status),
    ("group/done", "celery-is_group_successful", views.is_group_successful),
    ("group/status", "celery-group_status", views.group_status),
]


@pytest.fixture
def old_and_new(settings: Settings) -> None:
    """The site has the URLs of 2.6 by default."""
    if hasattr(settings, "DJANGO_CELERY_RESULTS_ID_FIRST_URLS"):
        del settings.DJANGO_CELERY_RESULTS_ID_FIRST_URLS
    with pytest.warns(DeprecationWarning, match="DJANGO_CELERY_RESULTS_ID_FIRST_URLS"):
        settings.ROOT_URLCONF = tuple(urls.chosen_patterns())


@pytest.fixture
def only_new(settings: Settings) -> None:
    """The site has the URLs without the older forms, and no warning."""
    settings.DJANGO_CELERY_RESULTS_ID_FIRST_URLS = False
    settings.ROOT_URLCONF = tuple(urls.chosen_patterns())


@pytest.mark.usefixtures("only_new")
@pytest.mark.parametrize(("path", "name", "view"), NOUN_FIRST)
def test_noun_first_urls(path: str, name: str, view: Callable[..., object]) -> None:
    """The id is the last part, and the name of the URL reverses to this form."""
    assert f"/{path}/a-1.b/" == reverse(name, args=["a-1.b"])
    assert view.__name__ == resolve(f"/{path}/a-1.b/").func.__name__


@pytest.mark.usefixtures("old_and_new")
@pytest.mark.parametrize(("path", "name", "view"), ID_FIRST)
def test_id_first_urls(path: str, name: str, view: Callable[..., object]) -> None:
    """The older forms exist by default, and as in 2.6, the names reverse to them."""
    assert f"/a-1.b/{path}/" == reverse(name, args=["a-1.b"])
    assert view.__name__ == resolve(f"/a-1.b/{path}/").func.__name__


@pytest.mark.usefixtures("only_new")
@pytest.mark.parametrize("path", ["a-1/done", "a-1/status", "a-1/group/done", "a-1/group/status"])
def test_id_first_urls_can_be_switched_off(path: str) -> None:
    """With DJANGO_CELERY_RESULTS_ID_FIRST_URLS = False, they are not found."""
    with pytest.raises(Resolver404):
        resolve(f"/{path}/")


@pytest.mark.usefixtures("only_new")
@pytest.mark.parametrize("odd", ["a b", "a:b", "a\x00b", "a%00", "<x>", "a'b", "\ud800", "a\n"])
@pytest.mark.parametrize("prefix", ["task/done", "task/status", "group/done", "group/status"])
def test_ids_with_odd_characters_are_not_found(prefix: str, odd: str) -> None:
    """An id consists of word characters, hyphens and dots."""
    with pytest.raises(Resolver404):
        resolve(f"/{prefix}/{odd}/")


@pytest.mark.usefixtures("only_new")
def test_an_odd_id_has_no_url() -> None:
    """``reverse`` refuses it too."""
    with pytest.raises(NoReverseMatch):
        reverse("celery-task_status", args=["a/b"])
