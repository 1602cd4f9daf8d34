"""Time as a parameter, so that nothing has to wait for a test."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What the engine asks about time."""

    def monotonic(self) -> float:
        """Return seconds since any fixed moment; never goes back."""
        ...

    def wall(self) -> float:
        """Return seconds since 1970, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Return the machine's monotonic time in seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return the machine's time of day in seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
