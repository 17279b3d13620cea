"""A plugin that records every call of every hook and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from .. import hookimpl, hookspecs
from .registering import hook_names

__all__ = ["HookCall", "RecordingPlugin"]


@dataclass(frozen=True)
class HookCall:
    """One call of a hook."""

    hook: str
    #: The arguments by name. These are the objects themselves, not copies, so a plugin
    #: that was called later may have changed them.
    arguments: Mapping[str, Any]


class RecordingPlugin:
    """Wraps every hook, records each call and passes it on.

    It only wraps, so it does not count as a storage or a serializer. Answers and errors of
    other plugins pass through unchanged.
    """

    def __init__(self, name: str = "recording-plugin") -> None:
        self.django_celery_results_name = name
        #: The calls, in order.
        self.calls: list[HookCall] = []
        for hook in hook_names():
            setattr(self, hook, hookimpl(wrapper=True)(self._recorder(hook)))

    def _recorder(self, hook: str) -> Callable[..., Any]:
        specification = getattr(hookspecs, hook)
        code = specification.__code__
        names = code.co_varnames[: code.co_argcount]

        # pluggy takes the argument names from the wrapped function.
        @wraps(specification)
        def record(*arguments: Any) -> Generator[None, Any, Any]:
            self.calls.append(HookCall(hook, dict(zip(names, arguments, strict=True))))
            return (yield)

        return record

    @property
    def hooks(self) -> list[str]:
        """The name of the hook of each call, in order."""
        return [call.hook for call in self.calls]

    def of(self, hook: str) -> list[Mapping[str, Any]]:
        """Return the arguments of each call of ``hook``."""
        return [call.arguments for call in self.calls if call.hook == hook]
