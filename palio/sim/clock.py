"""The time of a world: it runs from where it was put, as fast as is wanted, or stands."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from palio.kernel import clock
from palio.sim.refusals import SimRefusal

SPEED_MAX = 3_600
FORWARD_ONLY = "the clock goes forward only; reset the world to begin again"


class Clock:
    """Standing clocks never ask `real`, so that the product may take its time from them."""

    def __init__(
        self, start: datetime | None = None, *, real: Callable[[], datetime] = clock.now, is_frozen: bool = False
    ) -> None:
        self._real, self._seen = real, real()
        self._at, self._speed = start or self._seen, 0.0 if is_frozen else 1.0

    def now(self) -> datetime:
        """This instant of the world."""
        if not self._speed:
            return self._at
        return self._at + (self._real() - self._seen) * self._speed

    @property
    def pace(self) -> float:
        """How many times as fast as real time it runs; 0: it stands."""
        return self._speed

    def set(self, at: datetime) -> None:
        """Go on from a later instant. Refuses to go back."""
        if at < self.now():
            raise SimRefusal(FORWARD_ONLY)
        self._go_on_from(at)

    def advance(self, by: timedelta) -> None:
        """Go on from so much later. Refuses to go back."""
        if by < timedelta():
            raise SimRefusal(FORWARD_ONLY)
        self._go_on_from(self.now() + by)

    def _go_on_from(self, at: datetime) -> None:
        self._at = at
        if self._speed:
            self._seen = self._real()

    def speed(self, times: float) -> None:
        """Run so many times as fast as real time; 0 stands. Refuses what is out of range."""
        if not 0 <= times <= SPEED_MAX:
            raise SimRefusal(f"a speed lies in 0-{SPEED_MAX}")
        self._at, self._speed = self.now(), times
        if times:
            self._seen = self._real()

    # what outlives the process

    def kept(self) -> dict[str, object]:
        """What is written down of it."""
        return {"at": self.now().isoformat(), "real": self._real().isoformat(), "speed": self._speed}

    def catch_up(self, kept: Mapping[str, object]) -> None:
        """Be at least where a clock is that was written down and went on."""
        past = (self._real() - datetime.fromisoformat(str(kept["real"]))) * float(str(kept["speed"]))
        self.set(max(self.now(), datetime.fromisoformat(str(kept["at"])) + past))
