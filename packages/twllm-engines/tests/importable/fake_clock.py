"""A clock that goes on only when somebody sleeps."""

import asyncio


class FakeClock:
    """Notes every sleep and returns at once."""

    def __init__(self, *, wall: float = 1_767_225_600.0) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._wall = wall

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self._wall + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)
