"""Errors that come out of the hooks carry the name of the plugin that failed."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from django.test import override_settings

from django_celery_results import hookimpl
from django_celery_results.exceptions import ResultUnreadable
from django_celery_results.registry.loading import get_plugin_manager, load_plugins
from tests.memory import Memory, make_app, record
from tests.registry.hook_plugins import (
    CONTENTS,
    Observer,
    Shelf,
    Wrapping,
    encode,
    observe,
    store,
    stored,
    using,
)

if TYPE_CHECKING:
    from django_celery_results.records import Contents, StoredTask


class Broken(Shelf):
    """A storage that cannot store."""

    @hookimpl(specname="store_task")
    def put(self, task: StoredTask) -> bool:
        """Fail."""
        raise OSError(f"no space left for {task.task_id}")


class BreakingWrapper:
    """A wrapper that fails once the storage is done."""

    django_celery_results_name = "breaking"

    @hookimpl(wrapper=True)
    def store_task(self) -> Generator[None, bool, bool]:
        """Fail."""
        yield
        raise LookupError("afterwards")


class Codec:
    """Encodes and decodes badly."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.django_celery_results_name = name
        self.error = error

    @hookimpl
    def encode(self) -> Contents | None:
        """Fail, if it is to."""
        if self.error is not None:
            raise self.error
        return None

    @hookimpl
    def decode(self) -> Mapping[str, Any] | None:
        """Fail, if it is to."""
        if self.error is not None:
            raise self.error
        return None


def notes(error: BaseException) -> list[str]:
    """What was noted on an error."""
    return list(getattr(error, "__notes__", []))


def note(hook: str, plugin: str) -> list[str]:
    """What is noted on an error that came out of the plugin's hook."""
    return [f"in the hook {hook!r} of the django-celery-results plugin {plugin!r}"]


# -- Errors --------------------------------------------------------------------------


def test_error_of_a_storage_has_its_name() -> None:
    """As a note, under the error itself."""
    with using(Broken("one"), storage="one") as own, pytest.raises(OSError, match="no") as caught:
        store(own)
    assert note("store_task", "one") == notes(caught.value)


def test_error_of_a_storage_is_not_its_wrappers() -> None:
    """The innermost implementation is the one that failed."""
    with (
        using(Broken("one"), Wrapping, storage="one") as own,
        pytest.raises(OSError, match="no") as caught,
    ):
        store(own)
    assert note("store_task", "one") == notes(caught.value)


def test_error_of_a_wrapper_has_its_name() -> None:
    """The storage did well."""
    with (
        using(Shelf("one"), BreakingWrapper, storage="one") as own,
        pytest.raises(LookupError) as caught,
    ):
        store(own)
    assert note("store_task", "breaking") == notes(caught.value)


def test_error_of_one_of_two_instances_of_a_class() -> None:
    """They share their code, and not the blame."""
    codecs = [Codec("first"), Codec("second", ValueError("odd")), Codec("third")]
    with using(*codecs) as own, pytest.raises(ValueError, match="odd") as caught:
        encode(own)
    assert note("encode", "second") == notes(caught.value)


def test_error_that_is_raised_again_is_noted_once() -> None:
    """A storage may keep its error, and be asked anew."""
    with using(Codec("one", ValueError("odd"))) as own:
        for _ in range(2):
            with pytest.raises(ValueError, match="odd") as caught:
                encode(own)
    assert note("encode", "one") == notes(caught.value)


def test_error_of_decoding_has_the_plugins_name() -> None:
    """Like one of encoding."""
    with using(Codec("one", ValueError("odd"))) as own, pytest.raises(ValueError) as caught:  # noqa: PT011  the note is looked at
        own.ask("decode", contents=CONTENTS, accept=None, codings={})
    assert note("decode", "one") == notes(caught.value)


def test_result_that_cannot_be_read_has_the_plugins_name() -> None:
    """The error that a caller of ``AsyncResult.get`` sees carries the note."""
    storage = Memory()
    options = {"PLUGINS": [storage, Codec("one", ValueError("odd"))]}
    storage.tasks["a task"] = stored()
    with override_settings(DJANGO_CELERY_RESULTS=options):
        result = make_app().AsyncResult("a task")
        with pytest.raises(ResultUnreadable, match="'a task' cannot be read: odd") as caught:
            result.get(timeout=5)
    assert note("decode", "one") == notes(caught.value)


class Wrapper(Observer):
    """Looks on as a wrapper."""

    @hookimpl(specname="after_store", wrapper=True)
    def around(self) -> Generator[None, list[None], list[None]]:
        """Note what it goes around."""
        answers = yield
        self.seen.append(f"{len(answers)} inside")
        return answers


def test_observer_that_is_a_wrapper_goes_around_its_own_plugin() -> None:
    """It is called by itself like all of them."""
    wrapper = Wrapper("two")
    with using(Observer("one"), wrapper, Observer("three")) as own:
        observe(own)
    assert ["a task", "0 inside"] == wrapper.seen


def test_error_of_a_wrong_call_is_nobodys() -> None:
    """No plugin was called, so none is blamed."""
    with using() as own, pytest.raises(Exception, match="values") as caught:
        own.call("encode")
    assert [] == notes(caught.value)


def test_error_keeps_the_notes_that_it_had() -> None:
    """They come first."""
    error = ValueError("odd")
    error.__notes__ = ["seen before"]  # type: ignore[attr-defined]  # Python 3.11's, on 3.10 too
    with using(Codec("one", error)) as own, pytest.raises(ValueError, match="odd") as caught:
        encode(own)
    assert ["seen before", *note("encode", "one")] == notes(caught.value)


class Late(Observer):
    """Makes a hook when it is made itself."""

    def __init__(self) -> None:
        super().__init__("late")
        self.before_store = hookimpl(lambda task: task.nothing)


def test_error_of_a_function_of_an_instance() -> None:
    """An attribute of the instance is a hook as well."""
    with using(Late) as own, pytest.raises(AttributeError) as caught:
        own.call("before_store", task=record())
    assert note("before_store", "late") == notes(caught.value)


def test_hooks_leave_the_manager_as_it_is() -> None:
    """Every plugin stays registered there, by its name."""
    with using(Shelf("one"), Shelf("two"), storage="one"):
        names = {name for name, _ in get_plugin_manager().list_name_plugin()}
        assert {info.name for info in load_plugins().infos} == names
