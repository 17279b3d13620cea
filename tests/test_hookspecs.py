"""The contract: every hook is called, and its documentation is complete and correct."""

from __future__ import annotations

import inspect
import re
from textwrap import dedent
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from django_celery_results import hookimpl, hookspecs
from django_celery_results.registry.loading import hook_names, load_plugins, new_manager
from django_celery_results.testing import RecordingPlugin, registered_plugins
from tests.memory import Memory, make_app, use_everything

if TYPE_CHECKING:
    from pluggy import HookCaller, HookImpl

pytestmark = pytest.mark.alike

HOOKS = hook_names()
each_hook = pytest.mark.parametrize("hook", HOOKS)


def parameters(hook: str) -> list[str]:
    """The names of a hook's arguments."""
    return list(inspect.signature(getattr(hookspecs, hook)).parameters)


def documentation(hook: str) -> str:
    """A hook's docstring."""
    return inspect.getdoc(getattr(hookspecs, hook)) or ""


def caller(hook: str) -> HookCaller:
    """The caller that pluggy creates for the hook."""
    found: HookCaller = getattr(new_manager().hook, hook)
    return found


@pytest.fixture(scope="module")
def recording() -> RecordingPlugin:
    """A plugin that has recorded all calls of Celery's to a result backend."""
    plugin = RecordingPlugin()
    with registered_plugins(plugin, Memory()):
        use_everything(make_app())
    return plugin


# -- Called --------------------------------------------------------------------------


@each_hook
def test_hook_is_called_with_its_arguments(recording: RecordingPlugin, hook: str) -> None:
    """A plugin that takes every argument of every hook receives a call of each hook."""
    assert parameters(hook) in [list(arguments) for arguments in recording.of(hook)]


def test_contract_names_every_function_of_the_module() -> None:
    """A function without its marker would be a hook that no plugin can implement."""
    functions = vars(hookspecs).items()
    own = [
        n for n, one in functions if inspect.isfunction(one) and one.__module__.endswith("specs")
    ]
    assert own == HOOKS


# -- Described -----------------------------------------------------------------------


@each_hook
def test_hook_is_annotated(hook: str) -> None:
    """Each argument and the return value have a type."""
    annotations = getattr(hookspecs, hook).__annotations__
    assert {*parameters(hook), "return"} == set(annotations)


@each_hook
def test_documentation_starts_with_one_line(hook: str) -> None:
    """The command prints this sentence, which says what the hook is for."""
    first, blank, *_ = documentation(hook).splitlines()
    assert (".", "") == (first[-1], blank)


@each_hook
def test_documentation_says_when(hook: str) -> None:
    """The docstring says when, how often and on which plugins the hook is called."""
    assert re.search(r"\bCalled\b", documentation(hook))


@each_hook
def test_documentation_says_whether_the_first_answer_stops(hook: str) -> None:
    """All first-result hooks use the same words, and no other hook uses them."""
    spec = caller(hook).spec
    assert spec is not None
    says = "Stops at the first non-None result." in documentation(hook)
    assert bool(spec.opts["firstresult"]) == says


@each_hook
def test_documentation_of_other_hooks_says_who_is_called(hook: str) -> None:
    """If all plugins are called, the docstring says so."""
    text = documentation(hook)
    assert re.search(r"first non-None|are collected|every plugin", text)


@each_hook
def test_documentation_has_every_argument(hook: str) -> None:
    """The arguments are in the order of the signature."""
    assert parameters(hook) == re.findall(r"^:param (\w+):", documentation(hook), re.MULTILINE)


@each_hook
def test_documentation_has_the_return(hook: str) -> None:
    """A hook that returns nothing is excepted."""
    returns = getattr(hookspecs, hook).__annotations__["return"] != "None"
    assert returns == (":return:" in documentation(hook))


@each_hook
def test_documentation_says_what_raising_does(hook: str) -> None:
    """It has its own paragraph."""
    pattern = r"^An error raised here "
    assert re.search(pattern, documentation(hook), re.MULTILINE)


@each_hook
def test_documentation_says_since_when(hook: str) -> None:
    """It is the last line."""
    assert re.fullmatch(r"\.\. versionadded:: \d+\.\d+", documentation(hook).splitlines()[-1])


@each_hook
def test_example_is_a_plugin(hook: str) -> None:
    """The example can be registered unchanged, and implements the hook that it documents."""
    _, _, rest = documentation(hook).partition(".. code-block:: python\n")
    example, _, _ = rest.partition(".. versionadded")
    plugin = ModuleType("example")
    plugin.hookimpl = hookimpl  # type: ignore[attr-defined]  # names that an example may use
    exec(dedent(example), vars(plugin))
    manager = new_manager()
    manager.register(plugin)
    found = manager.get_hookcallers(plugin) or []
    assert [(hook, True)] == [(one.name, one.has_spec()) for one in found]


# -- Rules ---------------------------------------------------------------------------


@each_hook
def test_no_hook_is_historic(hook: str) -> None:
    """A plugin that is registered later is not told about earlier calls."""
    assert not caller(hook).is_historic()


def test_storage_hooks_are_those_of_one_storage() -> None:
    """They are the hooks that take ``storage``, and ``open_storage``, which creates it."""
    expected = [hook for hook in HOOKS if "storage" in parameters(hook) or hook == "open_storage"]
    assert expected == sorted(hookspecs.STORAGE_HOOKS, key=HOOKS.index)


def test_required_storage_hooks_are_storage_hooks() -> None:
    """A required hook has to exist."""
    assert set(hookspecs.REQUIRED_STORAGE_HOOKS) <= set(hookspecs.STORAGE_HOOKS)


def built_in_implementations() -> list[HookImpl]:
    """The implementations of the built-in plugins."""
    manager = load_plugins().manager
    callers: list[HookCaller] = [getattr(manager.hook, name) for name in HOOKS]
    return [impl for one in callers for impl in one.get_hookimpls()]


def test_built_in_implementations_come_last() -> None:
    """All are ``trylast``, so that any plugin can come first."""
    assert [] == [impl for impl in built_in_implementations() if not impl.trylast]


def test_built_in_implementations_wrap_nothing_in_the_old_way() -> None:
    """None uses ``hookwrapper``."""
    assert [] == [impl for impl in built_in_implementations() if impl.hookwrapper]
