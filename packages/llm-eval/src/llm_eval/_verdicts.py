"""Agreement of a judge with people on words."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from llm_eval._agreement import AlphaLevel, KappaWeights, cohen_kappa, krippendorff_alpha
from llm_eval._columns import Labels
from llm_eval._meta_evaluation import VerdictAgreement


def verdict_agreement(
    judge: Sequence[float],
    raters: Sequence[Sequence[float]],
    num_verdicts: int,
    *,
    seed: int,
    clusters: Labels | None,
    draws: int,
    level: float,
) -> VerdictAgreement:
    """Kappa of the judge with the most frequent human verdict, and alpha with and without the judge.

    Args:
        judge: place of the judge's verdict of each item among the verdicts.
        raters: the same of each human rater, at least one per item.
        num_verdicts: how many there are.
        seed: of the draws.
        clusters: label per item; None where items are independent.
        draws: resamples.
        level: coverage, in (0, 1).

    Raises:
        DataError: what `cohen_kappa` refuses.
    """
    most = [most_frequent(row) for row in raters]
    settled = [(at, verdict) for at, verdict in enumerate(most) if verdict is not None]
    first = [judge[at] for at, _ in settled]
    second = [verdict for _, verdict in settled]
    labels = None if clusters is None else [clusters[at] for at, _ in settled]
    kappa = partial(cohen_kappa, first, second, seed=seed, clusters=labels, draws=draws, level=level)
    categories = [float(code) for code in range(num_verdicts)]
    plain, weighted = (
        kappa(categories=categories, weights=weights) for weights in (KappaWeights.PLAIN, KappaWeights.QUADRATIC)
    )
    joined = [[own, *row] for own, row in zip(judge, raters, strict=True)]
    people, both = (
        krippendorff_alpha(rows, seed=seed, scale=AlphaLevel.NOMINAL, clusters=clusters, draws=draws, level=level)
        for rows in (raters, joined)
    )
    return VerdictAgreement(
        kappa=plain,
        weighted_kappa=weighted,
        people=people,
        people_and_judge=both,
        num_tied=len(most) - len(settled),
    )


def most_frequent(values: Sequence[float]) -> float | None:
    """The value that occurs most often; None where two do, or there is none."""
    ranked = Counter(values).most_common(2)
    if not ranked or (len(ranked) == 2 and ranked[0][1] == ranked[1][1]):
        return None
    return ranked[0][0]
