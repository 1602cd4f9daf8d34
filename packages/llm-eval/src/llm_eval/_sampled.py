"""Sampled scores: the mean over several answers to the same prompt (G-Eval takes 20; arXiv 2303.16634, 3.2)."""

from collections import Counter
from collections.abc import Sequence
from math import fsum

from llm_eval._judgements import DimensionScore, ParseFailure, ScoreMethod
from llm_eval._parse import ParsedScores
from llm_eval._scales import NumberScale, Scale, VerdictScale
from twllm_types import ConfigError


def sampled_scores(
    samples: Sequence[ParsedScores | ParseFailure], scale: Scale
) -> dict[str, DimensionScore] | ParseFailure:
    """Return the mean of every dimension over the answers that could be read.

    An answer that could not is in no mean and counted in `num_failed`; it is not asked for again, since that would
    choose answers by whether they parse. Verdicts have no mean: the most frequent is taken, of equally frequent ones
    the scale's first; the shares tell.

    Args:
        samples: at least one; those that were read hold the same dimensions.
        scale: of every dimension.

    Returns:
        One score per dimension; where no answer could be read the most frequent kind of failure, of equally frequent
        ones the first.

    Raises:
        ConfigError: there is no sample.
    """
    if not samples:
        raise ConfigError("there is no sample; ask for at least one")
    failures = [sample for sample in samples if isinstance(sample, ParseFailure)]
    parsed = [sample for sample in samples if isinstance(sample, ParsedScores)]
    if not parsed:
        kind = Counter(failure.kind for failure in failures).most_common(1)[0][0]
        return next(failure for failure in failures if failure.kind == kind)
    return {name: _score(name, parsed, scale, num_failed=len(failures)) for name in parsed[0].values}


def _score(name: str, parsed: Sequence[ParsedScores], scale: Scale, *, num_failed: int) -> DimensionScore:
    written = [sample.values[name] for sample in parsed]
    match scale:
        case NumberScale():
            values = [one.value for one in written if one.value is not None]
            counts = Counter(scale.text(value) for value in sorted(values))
            value, verdict = fsum(values) / len(values), None
        case VerdictScale(verdicts=verdicts):
            given = Counter(one.verdict for one in written)
            counts = Counter({word: given[word] for word in verdicts if given[word]})
            value, verdict = None, max(counts, key=lambda word: counts[word])
    return DimensionScore(
        value=value,
        verdict=verdict,
        method=ScoreMethod.SAMPLED,
        probabilities={label: count / len(parsed) for label, count in counts.items()},
        num_samples=len(parsed),
        num_failed=num_failed,
    )
