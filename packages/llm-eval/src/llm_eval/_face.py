"""Statistics as functions of the package's face: numpy is imported when one is called, not when the package is.

What they take and give stands in `llm_eval.statistics`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_eval._correlation import Correlation, CorrelationMethod
    from llm_eval._judge_scores import JudgeScores
    from llm_eval._judgements import Judgement
    from llm_eval._meta_evaluation import MetaEvaluation
    from llm_eval._ratings import Ratings


def correlate(x: Sequence[float], y: Sequence[float], method: "CorrelationMethod | str") -> "Correlation":
    """Correlate two columns by "pearson", "spearman" or "kendall" (tau-b), with a p-value; see `llm_eval.statistics`.

    Undefined coefficients (fewer than three items, a constant column) are None with their reason.

    Raises:
        DataError: the columns differ in length or hold a number that is not finite.
        ConfigError: no such method.
    """
    from llm_eval._correlation import correlate as real

    return real(x, y, method)


def meta_evaluate(
    judgements: "Sequence[Judgement] | JudgeScores | Sequence[JudgeScores] | Mapping[str, Mapping[str, float | str]]",
    ratings: "Ratings",
    # Any: the options of `llm_eval.statistics.meta_evaluate`, whose types would import numpy.
    **options: Any,
) -> "MetaEvaluation":
    """Hold judges against human ratings: `llm_eval.statistics.meta_evaluate`, which also takes what `judge` returns.

    Raises:
        DataError: no rated item is left, or a judge rates none of the dimensions.
        ConfigError: fewer than two draws or folds, or a level outside (0, 1).
    """
    from llm_eval._judge_scores import JudgeScores, scores_of_judgements
    from llm_eval._judgements import Judgement
    from llm_eval._meta_evaluate import meta_evaluate as real

    if isinstance(judgements, JudgeScores | Mapping):
        return real(judgements, ratings, **options)
    own = [one for one in judgements if isinstance(one, Judgement)]
    scores = [one for one in judgements if not isinstance(one, Judgement)]
    return real([*scores, *([scores_of_judgements("judge", own)] if own else [])], ratings, **options)
