"""Estimate the speed of work and the time that remains."""

from collections.abc import Sequence
from typing import final

_LOOK_BACK = 60.0  # seconds: the shortest window; later half of all time
_STALL = 5.0  # a step this many times slower than the median is a compilation or another wait, not work
_BURST = 0.1  # seconds; shorter steps are joined with the next, as several may be reported at once
_MOST = 256  # steps kept apart


@final
class Pace:
    """Seconds per unit of work, from the times at which work was done.

    Measurement begins at the first step reported, so that time before it, such as a compilation, does not count. The
    result is the mean over the last half of the time, at least over a minute, without stalls.
    """

    def __init__(self) -> None:
        self._at: tuple[float, float] | None = None
        self._steps: list[tuple[float, float]] = []  # seconds, work

    def step(self, now: float, done: float) -> None:
        """Record that `done` units are done at `now`, in seconds. A smaller number than before starts new work."""
        if self._at is None or done < self._at[1]:
            self._steps = []
        elif done > self._at[1]:
            step = now - self._at[0], done - self._at[1]
            if self._steps and self._steps[-1][0] < _BURST:
                self._steps[-1] = _joined([self._steps[-1], step])
            else:
                self._steps.append(step)
            if len(self._steps) > _MOST:
                self._steps = [_joined(self._steps[i : i + 2]) for i in range(0, len(self._steps), 2)]
        else:
            return
        self._at = now, done

    @property
    def seconds_per_unit(self) -> float | None:
        """Mean seconds per unit; None before the second step."""
        recent = self._recent()
        if not recent:
            return None
        median = sorted(seconds / work for seconds, work in recent)[(len(recent) - 1) // 2]
        seconds, work = _joined([step for step in recent if step[0] <= _STALL * median * step[1]])
        return seconds / work

    def left(self, total: float) -> float | None:
        """Return the seconds from the last step until `total` units are done; None when the speed is unknown."""
        pace = self.seconds_per_unit
        return None if pace is None or self._at is None else max(total - self._at[1], 0) * pace

    def _recent(self) -> Sequence[tuple[float, float]]:
        window = max(_LOOK_BACK, sum(seconds for seconds, _ in self._steps) / 2)
        count, looked = 0, 0.0
        for seconds, _ in reversed(self._steps):
            if looked >= window:
                break
            looked, count = looked + seconds, count + 1
        return self._steps[len(self._steps) - count :]


def _joined(steps: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(seconds for seconds, _ in steps), sum(work for _, work in steps)


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
