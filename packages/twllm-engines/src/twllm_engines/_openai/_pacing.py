"""When the next attempt may start: back-off, Retry-After and limits per minute, as arithmetic on given times."""

from collections import deque
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite

WINDOW_SECONDS = 60.0


def backoff_seconds(attempt: int, draw: float, *, base_seconds: float, max_seconds: float) -> float:
    """Return how long to wait after a failed attempt: evenly drawn below a ceiling that doubles ("full jitter").

    Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Args:
        attempt: number of the attempt that failed, from 1.
        draw: a random number in [0, 1).
        base_seconds: ceiling after the first attempt.
        max_seconds: highest ceiling.
    """
    # 2.0 ** 1024 overflows; long before, the ceiling is reached.
    return draw * min(max_seconds, base_seconds * 2.0 ** min(attempt - 1, 64))


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, >= 0; None where it is absent or not understood.

    Both forms of RFC 9110, 10.2.3: seconds (a fraction is accepted) and an HTTP date.

    Args:
        value: of the header.
        now: seconds since 1970.
    """
    text = "" if value is None else value.strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        # The obsolete forms of the date name no zone; HTTP dates are UTC.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(0.0, seconds) if isfinite(seconds) else None


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text takes: four ASCII characters, or one other character, each.

    A guess for the limit per minute, which the server's own count corrects.
    """
    num_ascii = len(text.encode("ascii", "ignore"))
    return len(text) - num_ascii + (num_ascii + 3) // 4


class Window:
    """Amounts spent in the last 60 seconds, held to a limit in every such window.

    An amount above the limit alone passes when nothing else is in the window: it would never pass otherwise.

    Args:
        limit: most that may be spent in any 60 seconds, > 0.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._total = 0.0
        # (time, [amount]); the amount can be corrected while it stands in the window.
        self._spent: deque[tuple[float, list[float]]] = deque()

    def wait_seconds(self, amount: float, now: float) -> float:
        """Return how long `amount` has to wait; 0 where it may be spent now."""
        self._forget(now)
        if not self._spent or self._total + amount <= self._limit:
            return 0.0
        left = self._total
        for time, cell in self._spent:
            left -= cell[0]
            if left + amount <= self._limit:
                return time + WINDOW_SECONDS - now
        return self._spent[-1][0] + WINDOW_SECONDS - now

    def spend(self, amount: float, now: float) -> list[float]:
        """Note an amount as spent; the returned cell is what `correct` takes."""
        cell = [amount]
        self._spent.append((now, cell))
        self._total += amount
        return cell

    def correct(self, cell: list[float], amount: float) -> None:
        """Put what was really spent in place of what was noted."""
        if any(cell is known for _, known in self._spent):
            self._total += amount - cell[0]
        cell[0] = amount

    def _forget(self, now: float) -> None:
        while self._spent and self._spent[0][0] + WINDOW_SECONDS <= now:
            self._total -= self._spent.popleft()[1][0]
        if not self._spent:
            # Sums of floating-point numbers drift; an empty window holds nothing.
            self._total = 0.0
