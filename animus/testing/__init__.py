"""What people need to test code that uses ``animus``: pytest fixtures (:mod:`animus.testing.plugin`) and a clock in the test's hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animus.testing.clock import ManualClock

__all__ = ["ManualClock"]


# pytest loads the plugin, and with it this package, in every run of everybody: the clock waits until it is asked for
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in __all__:
            from animus.testing import clock

            return getattr(clock, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
