"""An error raised in a hook gets a note with the name of the plugin that raised it."""

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
    """A storage that raises an error when it stores."""

    @hookimpl(specname="store_task")
    def put(self, task: StoredTask) -> bool:
        """Raise an error."""
        raise OSError(f"no space left for {task.task_id}")


class BreakingWrapper:
    """A wrapper that raises an error after the storage has returned."""

    django_celery_results_name = "breaking"

    @hookimpl(wrapper=True)
    def store_task(self) -> Generator[None, bool, bool]:
        """Raise an error."""
        yield
        raise LookupError("afterwards")


class Codec:
    """A codec that raises its error if it has one."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.django_celery_results_name = name
        self.error = error

    @hookimpl
    def encode(self) -> Contents | None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error
        return None

    @hookimpl
    def decode(self) -> Mapping[str, Any] | None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error
        return None


def notes(error: BaseException) -> list[str]:
    """The notes of an error."""
    return list(getattr(error, "__notes__", []))


def note(hook: str, plugin: str) -> list[str]:
    """The expected notes of an error from the plugin's hook."""
    return [f"in the hook {hook!r} of the django-celery-results plugin {plugin!r}"]


# -- Errors --------------------------------------------------------------------------


def test_error_of_a_storage_has_its_name() -> None:
    """The name is in a note, which a traceback shows below the error."""
    with using(Broken("one"), storage="one") as own, pytest.raises(OSError, match="no") as caught:
        store(own)
    assert note("store_task", "one") == notes(caught.value)


def test_error_of_a_storage_is_not_its_wrappers() -> None:
    """The innermost implementation raised the error, so the note names the storage."""
    with (
        using(Broken("one"), Wrapping, storage="one") as own,
        pytest.raises(OSError, match="no") as caught,
    ):
        store(own)
    assert note("store_task", "one") == notes(caught.value)


def test_error_of_a_wrapper_has_its_name() -> None:
    """The storage did its work without an error."""
    with (
        using(Shelf("one"), BreakingWrapper, storage="one") as own,
        pytest.raises(LookupError) as caught,
    ):
        store(own)
    assert note("store_task", "breaking") == notes(caught.value)


def test_error_of_one_of_two_instances_of_a_class() -> None:
    """Instances of one class share its code; the note names the right instance."""
    codecs = [Codec("first"), Codec("second", ValueError("odd")), Codec("third")]
    with using(*codecs) as own, pytest.raises(ValueError, match="odd") as caught:
        encode(own)
    assert note("encode", "second") == notes(caught.value)


def test_error_that_is_raised_again_is_noted_once() -> None:
    """A storage may keep an error and raise the same object again."""
    with using(Codec("one", ValueError("odd"))) as own:
        for _ in range(2):
            with pytest.raises(ValueError, match="odd") as caught:
                encode(own)
    assert note("encode", "one") == notes(caught.value)


def test_error_of_decoding_has_the_plugins_name() -> None:
    """Errors from decoding get a note like errors from encoding."""
    with using(Codec("one", ValueError("odd"))) as own, pytest.raises(ValueError) as caught:  # noqa: PT011  the note is looked at
        own.ask("decode", contents=CONTENTS, accept=None, codings={})
    assert note("decode", "one") == notes(caught.value)


def test_result_that_cannot_be_read_has_the_plugins_name() -> None:
    """The error that a caller of ``AsyncResult.get`` sees has the note."""
    storage = Memory()
    options = {"PLUGINS": [storage, Codec("one", ValueError("odd"))]}
    storage.tasks["a task"] = stored()
    with override_settings(DJANGO_CELERY_RESULTS=options):
        result = make_app().AsyncResult("a task")
        with pytest.raises(ResultUnreadable, match="'a task' cannot be read: odd") as caught:
            result.get(timeout=5)
    assert note("decode", "one") == notes(caught.value)


class Wrapper(Observer):
    """Observes as a wrapper."""

    @hookimpl(specname="after_store", wrapper=True)
    def around(self) -> Generator[None, list[None], list[None]]:
        """Record the result of the hook that it wraps."""
        answers = yield
        self.seen.append(f"{len(answers)} inside")
        return answers


def test_observer_that_is_a_wrapper_goes_around_its_own_plugin() -> None:
    """Each observer is called separately, so the wrapper surrounds only its own plugin."""
    wrapper = Wrapper("two")
    with using(Observer("one"), wrapper, Observer("three")) as own:
        observe(own)
    assert ["a task", "0 inside"] == wrapper.seen


def test_error_of_a_wrong_call_is_nobodys() -> None:
    """A call with wrong arguments reaches no plugin, so the note must not blame one."""
    with using() as own, pytest.raises(Exception, match="values") as caught:
        own.call("encode")
    assert [] == notes(caught.value)


def test_error_keeps_the_notes_that_it_had() -> None:
    """The earlier notes come first."""
    error = ValueError("odd")
    error.__notes__ = ["seen before"]  # type: ignore[attr-defined]  # Python 3.11's, on 3.10 too
    with using(Codec("one", error)) as own, pytest.raises(ValueError, match="odd") as caught:
        encode(own)
    assert ["seen before", *note("encode", "one")] == notes(caught.value)


class Late(Observer):
    """A plugin whose hook is created in its ``__init__``."""

    def __init__(self) -> None:
        super().__init__("late")
        self.before_store = hookimpl(lambda task: task.nothing)


def test_error_of_a_function_of_an_instance() -> None:
    """A hook may be an attribute of the instance, not only of its class."""
    with using(Late) as own, pytest.raises(AttributeError) as caught:
        own.call("before_store", task=record())
    assert note("before_store", "late") == notes(caught.value)


def test_hooks_leave_the_manager_as_it_is() -> None:
    """All plugins stay registered under their names."""
    with using(Shelf("one"), Shelf("two"), storage="one"):
        names = {name for name, _ in get_plugin_manager().list_name_plugin()}
        assert {info.name for info in load_plugins().infos} == names
