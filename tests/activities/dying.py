"""Ports behind which the process dies: just before or just after the n-th call."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from platforms.ports import Platform


class Killed(Exception):
    """Stands for SIGKILL: nothing in the code under test may catch it by name."""


class Death:
    """Counts the calls of all ports together; raises at one of them, or never."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.calls: list[str] = []
        self._at = at
        self._after = after

    def guard(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            due = len(self.calls) == self._at
            if due and not self._after:
                raise Killed(name)
            result = method(*args, **kwargs)
            if due:
                raise Killed(name)
            return result

        return guarded

    def on(self, platform: Platform) -> Platform:
        ports = [f.name for f in fields(platform) if f.name != "pace"]
        return replace(platform, **{name: _Port(self, name, getattr(platform, name)) for name in ports})


class _Port:
    def __init__(self, death: Death, name: str, port: Any) -> None:
        self._death, self._name, self._port = death, name, port

    def __getattr__(self, method: str) -> Any:
        return self._death.guard(f"{self._name}.{method}", getattr(self._port, method))
