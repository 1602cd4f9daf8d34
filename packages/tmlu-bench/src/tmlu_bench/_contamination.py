"""Signs that a model saw a text before: arithmetic on token log-probabilities. None of them is a verdict.

Every score is oriented alike: the higher, the more familiar the text looks. Only the comparison with texts that the
model cannot have seen says what is high.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from twllm_runs.statistics import TestResult, mean_estimate
from twllm_types import ConfigError, DataError, Estimate, EstimateUnit

_FloatArray = NDArray[np.float64]
QUESTIONS, CONTROL = "questions", "control"
_AUC_METHOD = "percentile bootstrap of both sets (rank statistic of Mann and Whitney 1947)"


def mean_logprob(logprobs: Sequence[float]) -> float:
    """Mean token log-probability, nats; minus the logarithm of the perplexity.

    Raises:
        DataError: there is no token.
    """
    return float(_tokens(logprobs).mean())


def zlib_score(text: str, logprobs: Sequence[float]) -> float:
    """Mean token log-probability over the bytes of the zlib-compressed UTF-8 text (Carlini et al. 2021, 2012.07805).

    As swj0419/detect-pretrain-code computes it, with the sign turned: log perplexity over compressed length.

    Raises:
        DataError: there is no token.
    """
    return mean_logprob(logprobs) / len(zlib.compress(text.encode("utf-8")))


def min_k(logprobs: Sequence[float], share: float) -> float:
    """Mean of the least likely tokens (Min-K% Prob, Shi et al. 2024, arXiv 2310.16789, eq. 1), nats.

    max(1, ceil(share n)) of n tokens; the authors' code takes floor(share n), which is none for short texts.

    Raises:
        DataError: there is no token.
        ConfigError: a share outside (0, 1].
    """
    return _least(_tokens(logprobs), share)


def min_k_plus_plus(
    logprobs: Sequence[float], expected: Sequence[float], deviations: Sequence[float], share: float
) -> float:
    """Mean of the least of the standardised token log-probabilities (Min-K%++, Zhang et al. 2025, arXiv 2404.02936).

    (log p(x_t) - mu_t) / sigma_t, with mu_t and sigma_t the mean and standard deviation of log p over the vocabulary
    under p at position t. Tokens whose sigma is 0, where the model allows one token only, say nothing and are left out.

    Args:
        logprobs: log p(x_t), nats.
        expected: mu_t.
        deviations: sigma_t, >= 0.
        share: of the tokens, in (0, 1].

    Raises:
        DataError: there is no token, the columns differ in length, or every sigma is 0.
        ConfigError: a share outside (0, 1].
    """
    values, means, sigmas = _tokens(logprobs), np.asarray(expected), np.asarray(deviations)
    if not values.shape == means.shape == sigmas.shape:
        raise DataError(f"{values.size}, {means.size} and {sigmas.size} entries; give one of each per token")
    known = sigmas > 0
    if not known.any():
        raise DataError("every position has standard deviation 0, so nothing can be standardised; use min_k")
    return _least((values[known] - means[known]) / sigmas[known], share)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTest:
    """Whether a data set's own order of options is more likely than chance allows.

    Attributes:
        canonical_first: share of questions whose own order is the likeliest of all orders tried, with its interval.
        chance: share expected if orders were exchangeable, ties shared.
        test: mean standing of the own order (1 best, 0 worst) against random relabelling of the orders.
    """

    canonical_first: Estimate
    chance: float
    test: TestResult


def option_order_test(orders: Sequence[Sequence[float]], *, seed: int, draws: int = 10_000) -> OrderTest:
    """Compare the log-likelihood of each question in its own order with that in other orders.

    A model that never saw the set should find each order as likely as another; one that memorised it prefers the
    published one (exchangeability test of Oren et al. 2024, arXiv 2310.17623, on the order of examples; on the order of
    options Ni et al. 2024, arXiv 2409.01790). The null hypothesis is that the published order is a random one: where
    authors sort options (numbers, dates, 以上皆是 last), it does not hold, and only a control set tells the difference.
    One-sided: under the null each order of a question is equally likely to be its own; p = (1 + hits) / (1 + draws)
    (Phipson and Smyth 2010).

    Args:
        orders: per question the log-likelihoods of its orders, its own first; two or more each.
        seed: of the draws.
        draws: random relabellings, at least 2.

    Raises:
        DataError: no question, or one with fewer than two orders.
    """
    if not orders or any(len(values) < 2 for values in orders):
        raise DataError("the order test needs questions, each with its own order and one other at least")
    standings = [_standings(np.asarray(values, dtype=np.float64)) for values in orders]
    observed = float(np.mean([values[0] for values in standings]))
    rng = np.random.default_rng(seed)
    sums = np.zeros(draws)
    for values in standings:
        sums += values[rng.integers(0, values.size, size=draws)]
    hits = int((sums / len(standings) >= observed - 1e-12).sum())
    shares = [_first_share(np.asarray(values, dtype=np.float64)) for values in orders]
    return OrderTest(
        canonical_first=mean_estimate(shares, unit=EstimateUnit.SHARE),
        chance=float(np.mean([1 / len(values) for values in orders])),
        test=TestResult(
            statistic=observed,
            p_value=(1 + hits) / (1 + draws),
            method="option order, random relabelling (Phipson and Smyth 2010), one-sided",
            n=len(orders),
            draws=draws,
            seed=seed,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetComparison:
    """One score on the questions and on a control set.

    Attributes:
        score: its name.
        suspects: mean over the questions.
        controls: mean over the control texts; None without a control set.
        auc: share of (question, control) pairs in which the question looks more familiar; 0.5 is no difference. None
            without a control set.
    """

    score: str
    suspects: Estimate
    controls: Estimate | None
    auc: Estimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapSummary:
    """Overlap of the questions with a corpus: questions long enough, and shares of them by their coverage."""

    num_too_short: int
    any_ngram: Estimate
    half_covered: Estimate
    fully_covered: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ContaminationResult:
    """Signs, beside what they are on texts that cannot have been seen; no verdict.

    Attributes:
        scores: per score; empty without engine.
        order_tests: per set; empty without engine or orders.
        num_failures: texts that the engine could not score.
        overlap: with the corpus; None without one.
        found_by_tw_corpus: benchmark to outcome to items; None where no file was given.
    """

    scores: tuple[SetComparison, ...]
    order_tests: Mapping[str, OrderTest]
    num_failures: int
    overlap: OverlapSummary | None
    found_by_tw_corpus: Mapping[str, Mapping[str, int]] | None


def compare_sets(
    score: str,
    suspects: Sequence[float],
    controls: Sequence[float] | None,
    *,
    unit: EstimateUnit,
    seed: int,
    draws: int = 2000,
    level: float = 0.95,
    num_unscored: int = 0,
    num_unscored_controls: int = 0,
) -> SetComparison:
    """Put the score's distribution on the questions beside that on a control set.

    Args:
        score: its name.
        suspects: one value per question.
        controls: one value per control text; None without a control set.
        unit: of the score.
        seed: of the resamples.
        draws: resamples, at least 2.
        level: coverage of the intervals.
        num_unscored: questions without a value.
        num_unscored_controls: control texts without a value.
    """
    missing = num_unscored_controls
    return SetComparison(
        score=score,
        suspects=mean_estimate(suspects, unit=unit, level=level, num_unscored=num_unscored),
        controls=None if controls is None else mean_estimate(controls, unit=unit, level=level, num_unscored=missing),
        auc=None if not controls or not suspects else _auc(suspects, controls, seed=seed, draws=draws, level=level),
    )


def area_under_curve(first: Sequence[float], second: Sequence[float]) -> float:
    """Share of pairs whose first is greater, ties half; both must not be empty."""
    a, b = np.asarray(first, dtype=np.float64), np.sort(np.asarray(second, dtype=np.float64))
    below, upto = np.searchsorted(b, a, side="left"), np.searchsorted(b, a, side="right")
    return float((below + upto).mean() / (2 * b.size))


def _auc(first: Sequence[float], second: Sequence[float], *, seed: int, draws: int, level: float) -> Estimate:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    can_draw = min(a.size, b.size) > 1
    stderr = low = high = None
    if can_draw:
        rng = np.random.default_rng(seed)
        drawn = np.array(
            [
                area_under_curve(
                    a[rng.integers(0, a.size, a.size)].tolist(), b[rng.integers(0, b.size, b.size)].tolist()
                )
                for _ in range(draws)
            ]
        )
        stderr = float(drawn.std(ddof=1))
        low, high = (float(x) for x in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Estimate(
        mean=area_under_curve(first, second),
        stderr=stderr,
        ci_low=low,
        ci_high=high,
        level=level,
        method=_AUC_METHOD if can_draw else f"{_AUC_METHOD}, no error: one text only",
        unit=EstimateUnit.SHARE,
        n=a.size + b.size,
        draws=draws if can_draw else None,
        seed=seed if can_draw else None,
    )


def _tokens(logprobs: Sequence[float]) -> _FloatArray:
    values = np.asarray(logprobs, dtype=np.float64)
    if not values.size:
        raise DataError("the text has no token with a log-probability; leave it out and count it")
    return values


def _least(values: _FloatArray, share: float) -> float:
    if not 0 < share <= 1:
        raise ConfigError(f"share {share} of the tokens must lie in (0, 1]; for Min-20% give 0.2")
    count = max(1, ceil(share * values.size))
    return float(np.sort(values)[:count].mean())


def _standings(values: _FloatArray) -> _FloatArray:
    """Share of the other orders that each order beats, ties half."""
    beaten = (values[:, np.newaxis] > values).sum(axis=1) + ((values[:, np.newaxis] == values).sum(axis=1) - 1) / 2
    return beaten / (values.size - 1)


def _first_share(values: _FloatArray) -> float:
    best = values == values.max()
    return float(best[0] / best.sum())
