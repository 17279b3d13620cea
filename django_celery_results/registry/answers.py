"""Checks what each plugin answers against the annotations of the contract.

:func:`require_sound` refuses, at load, an implementation whose answer cannot be right, such as
a coroutine function. :func:`checked` returns a stand-in for a plugin that calls the plugin's
implementations and checks each answer, and each record that the implementation may have changed.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial, wraps
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .. import hookimpl, hookspecs
from ..exceptions import HookError, PluginError
from .contract import Contract, Record, contract_of
from .discovery import ends_the_caller

if TYPE_CHECKING:
    import pluggy

__all__ = ["GUARDS", "checked", "require_sound"]

#: The last words of a message about a wrapper that loses an answer.
RETURN_IT = "end it with `return (yield)`, or with another answer"


# -- At load -------------------------------------------------------------------------


def require_sound(manager: pluggy.PluginManager, plugin: Any) -> None:
    """Raise :class:`PluginError` for an implementation that can be seen to answer wrongly.

    ``manager`` has the specifications of the hooks.
    """
    for attribute in dir(plugin):
        options: Mapping[str, Any] | None = manager.parse_hookimpl_opts(plugin, attribute)
        if options is None:
            continue
        hook = options.get("specname") or attribute
        caller = getattr(manager.hook, hook, None)
        if caller is not None and caller.has_spec():
            function, contract = getattr(plugin, attribute), contract_of(hook)
            wrong = _wrong_kind(function, options, contract) or _wrong_arguments(function, contract)
            if wrong:
                raise PluginError(f"{hook} {wrong}")


def _wrong_kind(
    function: Callable[..., Any], options: Mapping[str, Any], contract: Contract
) -> str | None:
    """Return what is wrong with the kind of function that implements a hook."""
    is_generator = inspect.isgeneratorfunction(function)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is an async function, which hooks do not await; define it with `def`"
    if options.get("hookwrapper"):
        return f"is marked hookwrapper=True; mark it wrapper=True, and {RETURN_IT}"
    if options.get("wrapper"):
        if not is_generator:
            return f"is marked wrapper=True, but has no `yield`; {RETURN_IT}"
        if not contract.answers_nothing and _returns_only_none(function):
            return f"is a wrapper that returns nothing, so the answer is lost; {RETURN_IT}"
    elif is_generator and not contract.iterates:
        return (
            "is a generator function, whose body would never run; remove the `yield`, or mark "
            "the function hookimpl(wrapper=True)"
        )
    return None


def _returns_only_none(function: Callable[..., Any]) -> bool:
    """Return whether the function has a ``return``, and each ``return`` gives ``None``."""
    code = list(dis.get_instructions(function))
    # Python 3.12 and 3.13 return a constant in one instruction, the others in two.
    constants = [
        one if one.opname == "RETURN_CONST" else before
        for before, one in pairwise(code)
        if one.opname in {"RETURN_VALUE", "RETURN_CONST"}
    ]
    nothing = [one for one in constants if one.opname.endswith("_CONST") and one.argval is None]
    return bool(constants) and constants == nothing


def _wrong_arguments(function: Callable[..., Any], contract: Contract) -> str | None:
    """Return what is wrong with the arguments of a function that implements a hook."""
    taken = inspect.signature(function).parameters.values()
    # pluggy passes no argument by keyword only, and leaves out unknown ones with a default.
    needed = [one for one in taken if one.default is one.empty and "VAR_" not in one.kind.name]
    valid = ", ".join(contract.arguments) or "none"
    if unknown := [one.name for one in needed if one.name not in contract.arguments]:
        listed = ", ".join(map(repr, unknown))
        return f"takes {listed}, which the hook does not pass; its arguments are: {valid}"
    if by_keyword := [one.name for one in needed if one.kind is one.KEYWORD_ONLY]:
        return f"takes {by_keyword[0]!r} by keyword only; remove the `*` before it"
    return None


# -- At each call --------------------------------------------------------------------


def checked(manager: pluggy.PluginManager, plugin: Any, name: str) -> ModuleType:
    """Return a stand-in for ``plugin`` whose implementations check their answers.

    ``plugin`` is registered with ``manager`` as ``name``.
    """
    stand_in = ModuleType(name)
    for caller in manager.get_hookcallers(plugin) or []:
        if caller.has_spec():
            impls = [impl for impl in caller.get_hookimpls() if impl.plugin is plugin]
            for number, impl in enumerate(_as_registered(impls)):
                setattr(stand_in, f"{caller.name}_{number:03}", _guarded(impl, caller))
    return stand_in


def _as_registered(impls: Sequence[pluggy.HookImpl]) -> Iterator[pluggy.HookImpl]:
    """Yield one plugin's implementations of one hook so that pluggy orders them as before."""
    yield from (impl for impl in impls if not impl.trylast)
    yield from (impl for impl in reversed(impls) if impl.trylast)


def _guarded(impl: pluggy.HookImpl, caller: pluggy.HookCaller) -> Callable[..., Any]:
    contract = contract_of(caller.name)
    # pluggy passes arguments in this order.
    changeable = [
        (place, contract.records[name])
        for place, name in enumerate(impl.argnames)
        if name in contract.records
    ]
    collects = caller.spec is not None and not caller.spec.opts["firstresult"]
    guard = _Guard(contract, impl.plugin_name, changeable, collects=collects)
    make = guard.wrapper if impl.wrapper else guard.implementation
    mark = hookimpl(
        specname=caller.name,
        wrapper=impl.wrapper,
        tryfirst=impl.tryfirst,
        trylast=impl.trylast,
    )
    return mark(make(impl.function))


class _Guard:
    """Checks the answers of one implementation.

    :param changeable: The positions and classes of the arguments that it may change.
    :param collects: Whether the hook collects the answers of all plugins in a list.
    """

    def __init__(
        self,
        contract: Contract,
        plugin: str,
        changeable: Sequence[tuple[int, Record]] = (),
        *,
        collects: bool = False,
    ) -> None:
        self.contract = contract
        self.changeable = changeable
        self.collects = collects
        self.where = f"The hook {contract.hook!r} of the plugin {plugin!r}"

    def implementation(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with its answer checked."""

        @wraps(function)
        def answer_of(*args: Any, **kwargs: Any) -> Any:
            before = [one.read(args[place]) for place, one in self.changeable]
            try:
                answer = function(*args, **kwargs)
            except BaseException as error:
                self._raise_as_error(error)
                raise
            if before:
                self._require_valid(before, args)
            if answer is not None:
                self._require_kind(answer, args)
            return self._each(answer) if isinstance(answer, Generator) else answer

        return answer_of

    def _each(self, answer: Generator[Any, None, None]) -> Iterator[Any]:
        try:
            yield from answer
        except GeneratorExit:
            raise
        except BaseException as error:
            self._raise_as_error(error)
            raise

    def wrapper(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the wrapper ``function`` with its ``yield`` and its answer checked."""

        @wraps(function)
        def around(*args: Any, **kwargs: Any) -> Generator[None, Any, Any]:
            before = [one.read(args[place]) for place, one in self.changeable]
            wrapper = function(*args, **kwargs)
            self._begin(wrapper)
            self._require_valid(before, args)
            inner: Any = None
            try:
                inner = yield
            except BaseException as error:  # noqa: BLE001 - the wrapper gets it
                answer = self._end(wrapper, partial(wrapper.throw, error), error)
            else:
                answer = self._end(wrapper, partial(wrapper.send, inner))
            self._require_valid(before, args)
            self._require_answer(answer, inner, args)
            return answer

        return around

    def _begin(self, wrapper: Generator[None, Any, Any]) -> None:
        """Run the wrapper up to its ``yield``."""
        try:
            next(wrapper)
        except StopIteration:
            message = f"{self.where} is a wrapper that did not yield; it has to yield once"
            raise HookError(message) from None
        except BaseException as error:
            self._raise_as_error(error)
            raise

    def _end(
        self,
        wrapper: Generator[None, Any, Any],
        step: Callable[[], Any],
        thrown: BaseException | None = None,
    ) -> Any:
        """Let the wrapper go on after its ``yield``, and return its answer."""
        try:
            step()
        except StopIteration as stop:
            return stop.value
        except BaseException as error:
            if error is not thrown:
                self._raise_as_error(error)
            raise
        wrapper.close()
        raise HookError(f"{self.where} is a wrapper that yields twice; it has to yield once")

    def _require_valid(self, before: Sequence[tuple[Any, ...]], args: Sequence[Any]) -> None:
        for values, (place, record) in zip(before, self.changeable, strict=True):
            record.require_valid(values, args[place], self.where)

    def _require_kind(self, answer: Any, args: Sequence[Any]) -> None:
        if type(answer) in self.contract.kind.classes:
            return
        same = self.contract.answers_nothing and any(answer is one for one in args)
        # A function that ends with ``return task`` has changed the record that it was given.
        if same or self.contract.kind.allows(answer):
            return
        if inspect.iscoroutine(answer) or inspect.isgenerator(answer):
            answer.close()
        amend = (
            "; set the attributes of the record that it is given"
            if self.contract.answers_nothing and self.changeable
            else ""
        )
        told = f"{self.where} must return {self.contract.text}, not {_kind(answer)}{amend}"
        raise HookError(told)

    def _require_answer(self, answer: Any, inner: Any, args: Sequence[Any]) -> None:
        """Check what a wrapper made of the answer that it was given."""
        if answer is inner:
            return
        if answer is None and not self.contract.answers_nothing:
            if self.contract.hook not in hookspecs.NONE_ANSWERS and inner is not None:
                raise HookError(
                    f"{self.where} is a wrapper that lost the answer of the others; {RETURN_IT}"
                )
        elif answer is not None and not (self.collects and isinstance(answer, list)):
            self._require_kind(answer, args)

    def _raise_as_error(self, error: BaseException) -> None:
        """Raise :class:`HookError` for an error that would end the process, not the call."""
        if not isinstance(error, Exception) and not ends_the_caller(error):
            raise HookError(f"{self.where} raised {type(error).__name__}: {error}") from error


def _kind(answer: Any) -> str:
    if isinstance(answer, (list, tuple)):
        items = sorted({type(one).__name__ for one in answer})
        return f"{type(answer).__name__} of {', '.join(items) or 'nothing'}"
    return type(answer).__name__


_sample = _Guard(contract_of("before_store"), "")

#: The code objects of the functions that call an implementation, their variable ``function``.
GUARDS = frozenset(make(id).__code__ for make in (_sample.implementation, _sample.wrapper))
