"""Sampled scores: the mean over answers that could be read, the others counted."""

import pytest

from llm_eval._dimensions import Dimension
from llm_eval._judgements import JudgementFailureKind, ParseFailure, ScoreMethod
from llm_eval._parse import parse_scores
from llm_eval._sampled import sampled_scores
from llm_eval._scales import SCALE_0_5, Scale, parse_scale
from twllm_types import ConfigError

ONE = (Dimension(name="a"),)


def samples(*texts, scale: Scale = SCALE_0_5):
    return [parse_scores(text, ONE, scale) for text in texts]


def test_sampled_scores_mean_is_over_read_answers_with_failures_counted():
    result = sampled_scores(samples('{"a": 4}', "no", '{"a": 1.5}', '{"a": 4}', '{"a": 9}'), SCALE_0_5)
    assert isinstance(result, dict)
    score = result["a"]
    assert (score.value, score.num_samples, score.num_failed) == (pytest.approx(9.5 / 3), 3, 2)
    assert score.method is ScoreMethod.SAMPLED
    assert score.probabilities == pytest.approx({"1.5": 1 / 3, "4.0": 2 / 3})


def test_sampled_scores_verdict_is_the_most_frequent_and_a_tie_goes_to_the_first_of_the_scale():
    scale = parse_scale("good,fair,bad")
    texts = [f'{{"a": "{word}"}}' for word in ("bad", "fair", "bad", "fair", "good")]
    result = sampled_scores(samples(*texts, scale=scale), scale)
    assert isinstance(result, dict)
    assert result["a"].verdict == "fair"
    assert result["a"].probabilities == pytest.approx({"good": 0.2, "fair": 0.4, "bad": 0.4})


def test_sampled_scores_nothing_read_is_the_most_frequent_failure():
    result = sampled_scores(samples("no", '{"a": 9}', '{"a": 8}'), SCALE_0_5)
    assert isinstance(result, ParseFailure)
    assert result.kind is JudgementFailureKind.OUT_OF_RANGE
    with pytest.raises(ConfigError):
        sampled_scores([], SCALE_0_5)
