"""Expected scores: each against a sum that the test writes out."""

from math import exp, inf, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._dimensions import Dimension
from llm_eval._expected import expected_from_likelihoods, expected_scores, is_told_apart_at_once, path_question
from llm_eval._judgements import DimensionScore, JudgementFailureKind, ParseFailure, ScoreMethod
from llm_eval._parse import ParsedScores, parse_scores
from llm_eval._scales import SCALE_0_5, SCALE_0_5_INT, SCALE_0_100, parse_scale
from twllm_types import ConfigError, ShapeError, TokenLogprob

ONE = (Dimension(name="a"),)
TWO = (Dimension(name="a"), Dimension(name="b"))
ONE_TO_TEN = parse_scale("1-10")


def sure(text):
    return TokenLogprob(token=text, logprob=0.0, top={text: 0.0})


def pick(token, probabilities):
    return TokenLogprob(
        token=token, logprob=log(probabilities[token]), top={other: log(p) for other, p in probabilities.items()}
    )


def only(result):
    assert isinstance(result, dict), result
    (score,) = result.values()
    assert score.method is ScoreMethod.EXPECTED
    return score


def test_expected_scores_one_token_is_the_renormalised_mean():
    tokens = [sure('{"a":'), pick(" 4", {" 4": 0.5, " 5": 0.2, " 2": 0.1, ' "': 0.1, " 9": 0.05}), sure("}")]
    score = only(expected_scores(tokens, ONE, SCALE_0_5_INT))
    assert score.captured_mass == pytest.approx(0.8)
    assert score.value == pytest.approx((4 * 0.5 + 5 * 0.2 + 2 * 0.1) / 0.8)
    assert score.probabilities == pytest.approx({"2": 0.125, "4": 0.625, "5": 0.25})


@pytest.mark.parametrize(
    ("before", "token", "others", "behind"),
    [
        ('{"a": ', "4", {"5": 0.25}, "}"),
        ('{"a":', " 4", {"5": 0.25}, "}"),
        ('{"a": ', "4}", {"5}": 0.25}, ""),
        ('{"a": ', "4}", {"5": 0.25}, ""),
        ('{"a', '": 4', {'":5': 0.25}, "}"),
        ('{"a', '": 4', {'" : 5\n': 0.25}, "}"),
        ('{"a":', ' "4', {'"5': 0.25}, '"}'),
        ('{"a": "', "4", {'5"': 0.25}, '"}'),
        ('{"a":\n', "\t4\n", {"5,": 0.25}, "}"),
        ('{"a": ', "4", {"5.0": 0.25}, ".0}"),
    ],
)
def test_expected_scores_shape_of_the_token_makes_no_difference(before, token, others, behind):
    tokens = [sure(before), pick(token, {token: 0.75, **others}), *([sure(behind)] if behind else [])]
    score = only(expected_scores(tokens, ONE, SCALE_0_5_INT))
    assert (score.value, score.captured_mass) == (pytest.approx(4.25), pytest.approx(1.0))


@pytest.mark.parametrize(
    "other", ["x", "", " ", "5e,", "-,", "+5,", "05,", '"5', "-1", "55", "5a", "5/5", "four", "..", "5..", "}"]
)
def test_expected_scores_alternative_that_is_no_score_is_not_captured(other):
    tokens = [sure('{"a": '), pick("4", {"4": 0.75, other: 0.25}), sure("}")]
    score = only(expected_scores(tokens, ONE, SCALE_0_5_INT))
    assert (score.value, score.captured_mass) == (pytest.approx(4.0), pytest.approx(0.75))


def test_expected_scores_two_dimensions_keep_their_own_tokens():
    tokens = [
        sure('{"a": '),
        pick("1", {"1": 0.5, "3": 0.5}),
        sure(', "b": '),
        pick("5", {"5": 0.9, "0": 0.1}),
        sure(', "reason": "3 and 2"}'),
        sure("<|im_end|>"),
    ]
    result = expected_scores(tokens, TWO, SCALE_0_5_INT, text='{"a": 1, "b": 5, "reason": "3 and 2"}')
    assert isinstance(result, dict)
    assert [score.value for score in result.values()] == [pytest.approx(2.0), pytest.approx(4.5)]


def test_expected_scores_several_tokens_follow_the_written_path():
    written_ten = [
        sure('{"a": '),
        pick("1", {"1": 0.6, "9": 0.3, "7": 0.1}),
        pick("0", {"0": 0.5, "}": 0.25, ",": 0.15, "5": 0.1}),
        sure("}"),
    ]
    ten = only(expected_scores(written_ten, ONE, ONE_TO_TEN))
    assert ten.captured_mass == pytest.approx(0.6 * 0.9 + 0.4)
    assert ten.probabilities == pytest.approx(
        {"1": 0.6 * 0.4 / 0.94, "7": 0.1 / 0.94, "9": 0.3 / 0.94, "10": 0.3 / 0.94}
    )
    written_one = [written_ten[0], written_ten[1], pick("}", {"0": 0.5, "}": 0.5})]
    one = only(expected_scores(written_one, ONE, ONE_TO_TEN))
    assert one.captured_mass == pytest.approx(1.0)
    assert one.probabilities == pytest.approx({"1": 0.3, "7": 0.1, "9": 0.3, "10": 0.3})


def test_expected_scores_alternative_that_may_become_two_scores_is_not_captured():
    tokens = [sure('{"a": '), pick("9", {"9": 0.5, "1": 0.3, "10": 0.2}), sure("}")]
    score = only(expected_scores(tokens, ONE, ONE_TO_TEN))
    assert score.captured_mass == pytest.approx(0.7)
    assert score.value == pytest.approx((9 * 0.5 + 10 * 0.2) / 0.7)


def test_expected_scores_listed_decimals_are_told_apart_by_their_digits():
    scale = parse_scale("0,0.5,1")
    tokens = [
        sure('{"a":'),
        pick(" 0", {" 0": 0.8, " 1": 0.2}),
        pick(".", {".": 0.75, "}": 0.25}),
        pick("5", {"5": 0.5, "0": 0.5}),
        sure("}"),
    ]
    score = only(expected_scores(tokens, ONE, scale))
    assert score.captured_mass == pytest.approx(1.0)
    assert score.probabilities == pytest.approx({"0.0": 0.5, "0.5": 0.3, "1.0": 0.2})


def test_expected_scores_minus_zero_is_the_zero_of_the_scale():
    tokens = [sure('{"a": '), pick("-0.0", {"-0.0": 0.5, "0.0,": 0.25, "-0.0,": 0.25}), sure("}")]
    score = only(expected_scores(tokens, ONE, parse_scale("0,0.5,1")))
    assert score.probabilities == pytest.approx({"0.0": 1.0})


def test_expected_scores_verdict_is_the_most_probable_word():
    scale = parse_scale("good,goodish,bad")
    tokens = [
        sure('{"a": "'),
        pick("good", {"good": 0.5, "bad": 0.4, " bad": 0.05, "x": 0.05}),
        pick('"', {'"': 0.6, "ish": 0.4}),
        sure("}"),
    ]
    score = only(expected_scores(tokens, ONE, scale))
    assert (score.value, score.verdict) == (None, "bad")
    assert score.captured_mass == pytest.approx(0.9)
    assert score.probabilities == pytest.approx({"good": 0.3 / 0.9, "goodish": 0.2 / 0.9, "bad": 0.4 / 0.9})


def test_expected_scores_verdict_written_with_escapes_is_still_read():
    scale = parse_scale("好,壞")
    tokens = [sure('{"a": "'), pick("\\u597d", {"\\u597d": 0.7, '壞"': 0.2, '差"': 0.1}), sure('"}'), sure(" bad")]
    score = only(expected_scores(tokens, ONE, scale))
    assert score.probabilities == pytest.approx({"好": 0.7 / 0.9, "壞": 0.2 / 0.9})


def test_expected_scores_reasoning_before_the_text_is_skipped():
    tokens = [sure("<think>4 or 5</think>\n\n"), sure('{"a": '), pick("4", {"4": 0.5, "5": 0.5}), sure("}")]
    assert only(expected_scores(tokens, ONE, SCALE_0_5_INT, text='{"a": 4}')).value == pytest.approx(4.5)


def test_expected_scores_tokens_after_the_last_score_may_differ_from_the_text():
    tokens = [sure('{"a": '), pick("4", {"4": 0.5, "5": 0.5}), sure(', "reason": "\ufffd'), sure('\ufffd"}')]
    score = only(expected_scores(tokens, ONE, SCALE_0_5_INT, text='{"a": 4, "reason": "好"}'))
    assert score.value == pytest.approx(4.5)


def test_expected_scores_failures_are_typed():
    def kind(result):
        assert isinstance(result, ParseFailure), result
        return result.kind, result.dimension

    four = pick("4", {"4": 0.25, "x": 0.75})
    tokens = [sure('{"a": '), four, sure("}")]
    assert kind(expected_scores(tokens, ONE, SCALE_0_5_INT, text='{"a":4}')) == (
        JudgementFailureKind.MISALIGNED_TOKENS,
        None,
    )
    assert kind(expected_scores(tokens, ONE, SCALE_0_5_INT, least_mass=0.5)) == (
        JudgementFailureKind.LOW_CAPTURED_MASS,
        "a",
    )
    assert only(expected_scores(tokens, ONE, SCALE_0_5_INT, least_mass=0.25)).value == 4.0
    bare = [sure('{"a": '), TokenLogprob(token="4", logprob=0.0), sure("}")]
    assert kind(expected_scores(bare, ONE, SCALE_0_5_INT)) == (JudgementFailureKind.MISSING_LOGPROBS, "a")
    never = [sure('{"a": '), TokenLogprob(token="4", logprob=-inf, top={"x": 0.0}), sure("}")]
    assert kind(expected_scores(never, ONE, SCALE_0_5_INT)) == (JudgementFailureKind.MISSING_LOGPROBS, "a")
    assert kind(expected_scores([sure("no")], ONE, SCALE_0_5_INT)) == (JudgementFailureKind.NO_JSON, None)
    with pytest.raises(ConfigError, match="0-5-int"):
        expected_scores(tokens, ONE, SCALE_0_5)


@given(st.lists(st.floats(1e-6, 1.0), min_size=6, max_size=6), st.integers(0, 5), st.floats(0.01, 1.0))
def test_expected_scores_any_distribution_equals_the_plain_mean(weights, written, captured):
    shares = {str(score): captured * weight / sum(weights) for score, weight in enumerate(weights)}
    tokens = [sure('{"a": '), pick(str(written), shares), sure("}")]
    score = only(expected_scores(tokens, ONE, SCALE_0_5_INT))
    assert score.captured_mass == pytest.approx(captured)
    assert score.value == pytest.approx(sum(float(label) * share for label, share in shares.items()) / captured)


def test_path_question_continues_the_very_text_with_every_score():
    text = '{"a": 7, "b": "12"}'
    parsed = parse_scores(text, TWO, SCALE_0_100)
    assert isinstance(parsed, ParsedScores)
    first, second = (path_question(text, parsed.values[name], SCALE_0_100) for name in "ab")
    assert (first.prefix, first.continuations[0], first.continuations[100]) == ('{"a":', " 0,", " 100,")
    assert (second.prefix, second.continuations[12]) == ('{"a": 7, "b": "', '12"')
    assert len(first.continuations) == 101


@pytest.mark.parametrize(
    ("scale", "written", "at", "ways"),
    [
        ("0,0.5,1", "1", 2, ("1", "1.0")),
        ("0,0.5,1", "1.0", 2, ("1.0", "1")),
        ("0,0.5,1", "0.50", 1, ("0.50", "0.5")),
        ("0,0.5,1", "-0", 0, ("-0", "0", "0.0")),
        ("0-100", "85.0", 85, ("85.0", "85")),
        ("0-100", "8.5e1", 85, ("8.5e1", "85.0", "85")),
        ("0-100", '" 85 "', 85, ("85", "85.0")),
    ],
)
def test_path_question_holds_what_was_written_and_the_other_spellings(scale, written, at, ways):
    text, chosen = f'{{"a": {written}}}', parse_scale(scale)
    parsed = parse_scores(text, ONE, chosen)
    assert isinstance(parsed, ParsedScores)
    value = parsed.values["a"]
    question = path_question(text, value, chosen)
    texts = [question.prefix + way for way in question.spellings[at]]
    assert text[: value.end + 1] == texts[0]
    assert [one[value.start : -1] for one in texts] == list(ways)
    assert question.continuations[at] == question.spellings[at][0]
    everything = [way for all_ways in question.spellings for way in all_ways]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("scale", ["0,0.5,1", "0-100", "-2-2"])
def test_path_question_all_spellings_are_read_as_their_score(scale):
    chosen = parse_scale(scale)
    parsed = parse_scores('{"a": 1}', ONE, chosen)
    assert isinstance(parsed, ParsedScores)
    question = path_question('{"a": 1}', parsed.values["a"], chosen)
    for label, ways in zip(chosen.labels or (), question.spellings, strict=True):
        for way in ways:
            read = parse_scores(question.prefix + way, ONE, chosen)
            assert isinstance(read, ParsedScores)
            assert read.values["a"].value == float(label)


def test_path_question_of_verdicts_has_the_words_alone():
    scale = parse_scale("good,great")
    parsed = parse_scores('{"a": "great"}', ONE, scale)
    assert isinstance(parsed, ParsedScores)
    assert path_question('{"a": "great"}', parsed.values["a"], scale).spellings == (('good"',), ('great"',))


def test_path_question_per_score_adds_the_spellings_of_each_score():
    scale = parse_scale("0,0.5,1")
    parsed = parse_scores('{"a": 1}', ONE, scale)
    assert isinstance(parsed, ParsedScores)
    question = path_question('{"a": 1}', parsed.values["a"], scale)
    assert question.spellings == ((" 0}", " 0.0}"), (" 0.5}",), (" 1}", " 1.0}"))
    per_score = question.per_score([log(0.1), log(0.05), -inf, log(0.6), log(0.2)])
    assert per_score == (pytest.approx(log(0.15)), -inf, pytest.approx(log(0.8)))
    score = expected_from_likelihoods(scale, per_score)
    assert isinstance(score, DimensionScore)
    assert score.captured_mass == pytest.approx(0.95)
    assert score.value == pytest.approx(0.8 / 0.95)
    # far below what exp can hold, the sum is still one
    assert question.per_score([-2000.0] * 5)[0] == pytest.approx(-2000 + log(2))
    with pytest.raises(ShapeError, match="5 spellings"):
        question.per_score([0.0] * 3)


def test_expected_from_likelihoods_is_the_mean_over_what_was_seen():
    scale = parse_scale("1-3")
    score = expected_from_likelihoods(scale, [log(0.1), -inf, log(0.3)])
    assert isinstance(score, DimensionScore)
    assert score.captured_mass == pytest.approx(0.4)
    assert score.value == pytest.approx((1 * 0.1 + 3 * 0.3) / 0.4)
    assert score.probabilities == pytest.approx({"1": 0.25, "3": 0.75})
    low = expected_from_likelihoods(scale, [log(0.1), -inf, -inf], least_mass=0.2)
    assert isinstance(low, ParseFailure)
    assert low.kind is JudgementFailureKind.LOW_CAPTURED_MASS
    none = expected_from_likelihoods(scale, [-inf] * 3)
    assert isinstance(none, ParseFailure)
    assert none.kind is JudgementFailureKind.MISSING_LOGPROBS
    with pytest.raises(ShapeError):
        expected_from_likelihoods(scale, [0.0])


@given(st.lists(st.floats(-30, 0), min_size=6, max_size=6).filter(lambda one: sum(map(exp, one)) <= 1))
def test_expected_from_likelihoods_stays_within_the_scale(logprobs):
    score = expected_from_likelihoods(SCALE_0_5_INT, logprobs)
    assert isinstance(score, DimensionScore)
    assert score.value is not None
    assert 0 <= score.value <= 5


@pytest.mark.parametrize(
    ("scale", "told_apart"),
    [
        ("0-5-int", True),
        ("1-9", True),
        ("good,fair,bad", True),
        ("0-5", False),
        ("1-10", False),
        ("0-100", False),
        ("0,0.5,1", False),
        ("good,great", False),
    ],
)
def test_is_told_apart_at_once_only_where_the_first_character_decides(scale, told_apart):
    assert is_told_apart_at_once(parse_scale(scale)) is told_apart


def test_expected_scores_names_and_a_scale_in_words_stand_for_what_they_name():
    tokens = [sure('{"a": '), pick("4", {"4": 0.75, "2": 0.25}), sure("}")]
    assert expected_scores(tokens, ["a"], "0-5-int") == expected_scores(tokens, ONE, SCALE_0_5_INT)
    assert only(expected_scores(tokens, ["a"], "0-5-int")).value == pytest.approx(3.5)


def test_expected_scores_probabilities_above_one_are_none():
    tokens = [
        sure('{"a":'),
        TokenLogprob(token=" 4", logprob=log(0.9), top={" 4": log(0.9), " 5": log(0.9)}),
        sure("}"),
    ]
    failure = expected_scores(tokens, ONE, SCALE_0_5_INT)
    assert isinstance(failure, ParseFailure)
    assert failure.kind is JudgementFailureKind.MISSING_LOGPROBS
    assert "add up to 1.800" in failure.message
