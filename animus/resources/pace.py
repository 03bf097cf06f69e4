"""How long to wait for long work, and how often to look at it."""

from __future__ import annotations

from dataclasses import dataclass

from animus import _check

_INTERVAL = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long to wait for a job, and how often to look. Durations in seconds.

    Attributes:
        timeout: From when the wait begins; None for no limit. The first look is made at once, and none that would come
            after the limit: then the wait ends.
        interval: Between two looks; None: 5 s, or a tenth of ``timeout`` where that is less.
        growth: By what each pause is longer than the one before.
        longest: To which a pause may grow.
    """

    timeout: float | None = 300.0
    interval: float | None = None
    growth: float = 1.0
    longest: float = 30.0

    def __post_init__(self) -> None:
        if self.timeout is not None:
            _check.seconds("timeout", self.timeout)
        if self.interval is not None:
            _check.seconds("interval", self.interval, zero=False)
        _check.number("growth", self.growth, 1)
        _check.seconds("longest", self.longest, zero=False)

    def pause(self, looks: int) -> float:
        """Give the seconds to wait after so many looks."""
        interval = self.interval
        if interval is None:
            interval = _INTERVAL if self.timeout is None else min(_INTERVAL, self.timeout / 10)
        pause = interval
        for _ in range(1, looks):
            if self.growth == 1 or pause >= self.longest:
                break
            pause *= self.growth
        return max(interval, min(pause, self.longest))
