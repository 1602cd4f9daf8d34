"""What requests took: tokens and cost by model."""

import threading
from dataclasses import dataclass, replace

from twllm_types import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """Totals of one model.

    Attributes:
        model: the id that the server named.
        num_answers: answers of the server with a status of success, those that the engine refused among them.
        num_refused: answers that the engine could not use (another model, no log-probabilities, too few samples, no
            readable body); what they took is in the totals, since the server counts it.
        num_from_cache: answers of the engine's own cache, which cost nothing and count nowhere else here.
        num_without_usage: answers of the server without a count of tokens, which the totals lack.
        num_prompt_tokens: tokens read.
        num_completion_tokens: tokens written.
        num_cached_tokens: prompt tokens that the server says it had cached.
        cost: in the ledger's currency; None where no price is set.
    """

    model: str
    num_answers: int = 0
    num_refused: int = 0
    num_from_cache: int = 0
    num_without_usage: int = 0
    num_prompt_tokens: int = 0
    num_completion_tokens: int = 0
    num_cached_tokens: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLedger:
    """What an engine's requests took so far; a snapshot.

    Attributes:
        models: totals by model, sorted by its name.
        num_attempts: attempts sent, failed ones among them.
        num_failures: requests that gave nothing.
        currency: of the costs.
    """

    models: tuple[ModelUsage, ...]
    num_attempts: int
    num_failures: int
    currency: str

    @property
    def cost(self) -> float | None:
        """Sum over the models; None where no price is set. Answers without a count of tokens are not in it."""
        costs = [model.cost for model in self.models if model.cost is not None]
        return sum(costs) if costs else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices per million tokens; None where unknown."""

    prompt: float | None
    completion: float | None
    cached_prompt: float | None

    def cost(self, usage: Usage) -> float | None:
        """Return what one answer cost."""
        if self.prompt is None or self.completion is None:
            return None
        num_cached = usage.num_cached_tokens or 0
        cached_price = self.prompt if self.cached_prompt is None else self.cached_prompt
        return (
            (usage.num_prompt_tokens - num_cached) * self.prompt
            + num_cached * cached_price
            + usage.num_completion_tokens * self.completion
        ) / 1_000_000


class LedgerBook:
    """Where the engine writes down what it took; any thread may."""

    def __init__(self, prices: Prices, currency: str) -> None:
        self._prices = prices
        self._currency = currency
        self._lock = threading.Lock()
        self._models: dict[str, ModelUsage] = {}
        self._num_attempts = 0
        self._num_failures = 0

    def add_attempt(self) -> None:
        """Count an attempt that is sent."""
        with self._lock:
            self._num_attempts += 1

    def add_failure(self) -> None:
        """Count a request that gave nothing."""
        with self._lock:
            self._num_failures += 1

    def add_answer(
        self, model: str, usage: Usage | None, *, is_from_cache: bool, is_refused: bool = False
    ) -> ModelUsage:
        """Count an answer; return what it alone adds."""
        delta = usage_of_answer(model, usage, self._prices, is_from_cache=is_from_cache, is_refused=is_refused)
        with self._lock:
            self._models[model] = add_usage(self._models.get(model, ModelUsage(model=model)), delta)
        return delta

    def snapshot(self) -> UsageLedger:
        """Return the totals so far."""
        with self._lock:
            return UsageLedger(
                models=tuple(self._models[name] for name in sorted(self._models)),
                num_attempts=self._num_attempts,
                num_failures=self._num_failures,
                currency=self._currency,
            )


def usage_of_answer(
    model: str, usage: Usage | None, prices: Prices, *, is_from_cache: bool, is_refused: bool = False
) -> ModelUsage:
    """Return what one answer adds to its model's totals."""
    if is_from_cache:
        return ModelUsage(model=model, num_from_cache=1)
    if usage is None:
        return ModelUsage(model=model, num_answers=1, num_refused=int(is_refused), num_without_usage=1)
    return ModelUsage(
        model=model,
        num_answers=1,
        num_refused=int(is_refused),
        num_prompt_tokens=usage.num_prompt_tokens,
        num_completion_tokens=usage.num_completion_tokens,
        num_cached_tokens=usage.num_cached_tokens or 0,
        cost=prices.cost(usage),
    )


def add_usage(total: ModelUsage, delta: ModelUsage) -> ModelUsage:
    """Return the sum of two totals of one model."""
    costs = [part.cost for part in (total, delta) if part.cost is not None]
    return replace(
        total,
        num_answers=total.num_answers + delta.num_answers,
        num_refused=total.num_refused + delta.num_refused,
        num_from_cache=total.num_from_cache + delta.num_from_cache,
        num_without_usage=total.num_without_usage + delta.num_without_usage,
        num_prompt_tokens=total.num_prompt_tokens + delta.num_prompt_tokens,
        num_completion_tokens=total.num_completion_tokens + delta.num_completion_tokens,
        num_cached_tokens=total.num_cached_tokens + delta.num_cached_tokens,
        cost=sum(costs) if costs else None,
    )
