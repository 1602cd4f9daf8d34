"""Reading scores: what is accepted, what fails, and where each score stands."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_eval._dimensions import PAPER_DIMENSIONS, Dimension
from llm_eval._judgements import JudgementFailureKind, ParseFailure, ScoreMethod
from llm_eval._parse import ParsedScores, argmax_scores, parse_scores
from llm_eval._scales import SCALE_0_5, SCALE_0_5_INT, Scale, parse_scale
from twllm_types import ConfigError, FinishReason

TWO = (Dimension(name="content"), Dimension(name="grammar"))
VERDICTS = parse_scale("good,bad")


def values(text, scale: Scale = SCALE_0_5, **options):
    parsed = parse_scores(text, TWO, scale, **options)
    assert isinstance(parsed, ParsedScores), parsed
    return [parsed.values[name].value for name in ("content", "grammar")]


def failure(text, scale: Scale = SCALE_0_5, **options):
    parsed = parse_scores(text, TWO, scale, **options)
    assert isinstance(parsed, ParseFailure), parsed
    return parsed.kind, parsed.dimension


@pytest.mark.parametrize(
    "text",
    [
        '{"content": 4, "grammar": 2.5}',
        '{"grammar":2.5,"content":4}',
        '```json\n{\n  "content": 4,\n  "grammar": 2.5\n}\n```',
        'Here it is:\n{"content": 4, "grammar": 2.5} I hope {that} helps.',
        '<think>{"content": 1, "grammar": 1}? no</think>\n{"content": 4, "grammar": 2.5}',
        '{"content": 4, "grammar": 2.5,}',
        '{"content": "4", "grammar": " 2.5 "}',
        '{"content": 4e0, "grammar": 25E-1}',
        '{"content": 4, "grammar": 2.5, "overall": 5, "scores": {"content": 1, "grammar": 1}}',
        '{"properties": {"content": {"type": "number"}}, "required": ["content"]} {"content": 4, "grammar": 2.5}',
        '{"content": 4} {"content": 4, "grammar": 2.5}',
        '{"content": 4, "grammar": 2.5} {"content": 4, "grammar": 2.5}',
        '{"content": 4, "grammar": 2.5}\n{"foo": ',
        '{} {"content": 4, "grammar": 2.5} {',
        '{"reason": "I would say {\\"content\\": 1}\nnot 5/5", "content": 4, "grammar": 2.5}',
    ],
)
def test_parse_scores_accepted_text_gives_the_scores(text):
    assert values(text) == [4.0, 2.5]


@pytest.mark.parametrize(
    ("text", "kind", "dimension"),
    [
        ("", JudgementFailureKind.NO_JSON, None),
        ("content: 4, grammar: 5", JudgementFailureKind.NO_JSON, None),
        ("{'content': 4, 'grammar': 5}", JudgementFailureKind.NO_JSON, None),
        ('{"scores": {"content": 4, "grammar": 5}}', JudgementFailureKind.NO_JSON, None),
        ('{"Content": 4, "Grammar": 5}', JudgementFailureKind.NO_JSON, None),
        ('{"content": 4 "grammar": 5}', JudgementFailureKind.NO_JSON, None),
        ('{"content": 4, grammar: 5}', JudgementFailureKind.NO_JSON, None),
        ('{"content" 4}', JudgementFailureKind.NO_JSON, None),
        ('{"content": 4,, "grammar": 5}', JudgementFailureKind.NO_JSON, None),
        ('{"content": ' + "9" * 5000 + ', "grammar": 5}', JudgementFailureKind.NO_JSON, None),
        ('{"note": ' + "[" * 100000, JudgementFailureKind.NO_JSON, None),
        ('"{\\"content\\": 4, \\"grammar\\": 5}"', JudgementFailureKind.NO_JSON, None),
        ('{"content": 4}', JudgementFailureKind.MISSING_DIMENSION, "grammar"),
        ('{"content": 4} {"grammar": 5}', JudgementFailureKind.MISSING_DIMENSION, "content"),
        ('{"content": 4, "scores": {"grammar": 5}}', JudgementFailureKind.MISSING_DIMENSION, "grammar"),
        ('{"content": 5.1, "grammar": 5}', JudgementFailureKind.OUT_OF_RANGE, "content"),
        ('{"content": 5, "grammar": -1}', JudgementFailureKind.OUT_OF_RANGE, "grammar"),
        ('{"content": 4, "grammar": true}', JudgementFailureKind.NOT_A_NUMBER, "grammar"),
        ('{"content": null, "grammar": 4}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": NaN, "grammar": 4}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": 4, "grammar": -Infinity}', JudgementFailureKind.NOT_A_NUMBER, "grammar"),
        ('{"content": 4, "grammar": 1e999}', JudgementFailureKind.NOT_A_NUMBER, "grammar"),
        ('{"content": ' + "9" * 400 + ', "grammar": 5}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": "4/5", "grammar": 5}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": "four", "grammar": 5}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": "４", "grammar": 5}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": [4], "grammar": 5}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": {"score": 4}, "grammar": 5}', JudgementFailureKind.NOT_A_NUMBER, "content"),
        ('{"content": 4, "grammar": 5, "content": 1}', JudgementFailureKind.AMBIGUOUS, "content"),
        ('{"content": 4, "grammar": 5, "x": 1, "x": 1}', JudgementFailureKind.AMBIGUOUS, None),
        ('{"content": 4, "grammar": 5} {"content": 4, "grammar": 1}', JudgementFailureKind.AMBIGUOUS, "grammar"),
        ('{"content": 1, "grammar": 5} {"content": true, "grammar": 5}', JudgementFailureKind.AMBIGUOUS, "content"),
        ('{"content": 4, "grammar": 5} {"content": 9, "grammar": 5}', JudgementFailureKind.AMBIGUOUS, "content"),
        ('{"content": 5, "grammar": 5} {"x": {"content": 1, "grammar": 1}', JudgementFailureKind.AMBIGUOUS, None),
        ("I'm sorry, but I can't rate this.", JudgementFailureKind.REFUSED, None),
        ("\nI cannot help with that", JudgementFailureKind.REFUSED, None),
        ("As an AI language model, I do not judge.", JudgementFailureKind.REFUSED, None),
        ("很抱歉，我無法評分。", JudgementFailureKind.REFUSED, None),
        ("我不能回答", JudgementFailureKind.REFUSED, None),
        ('I am sorry: {"content": 4}', JudgementFailureKind.MISSING_DIMENSION, "grammar"),
        ('{"content": 4, "gram', JudgementFailureKind.TRUNCATED, None),
        ('{"content": 4, "grammar"', JudgementFailureKind.TRUNCATED, None),
        ('{"content": 4, "grammar":', JudgementFailureKind.TRUNCATED, None),
        ('{"content": 4,', JudgementFailureKind.TRUNCATED, None),
        ('{"content": 4', JudgementFailureKind.TRUNCATED, None),
        ("```json\n{", JudgementFailureKind.TRUNCATED, None),
        ('<think>{"content": 4, "grammar": 5}', JudgementFailureKind.TRUNCATED, None),
    ],
)
def test_parse_scores_unusable_text_gives_a_typed_failure(text, kind, dimension):
    assert failure(text) == (kind, dimension)


def test_parse_scores_finish_reason_says_what_stopped_the_text():
    half = '{"content": 4, "gram'
    assert failure(half, finish_reason=FinishReason.LENGTH)[0] is JudgementFailureKind.TRUNCATED
    assert failure(half, finish_reason=FinishReason.STOP)[0] is JudgementFailureKind.NO_JSON
    assert failure("Let me think", finish_reason=FinishReason.LENGTH)[0] is JudgementFailureKind.TRUNCATED
    assert failure("", finish_reason=FinishReason.CONTENT_FILTER)[0] is JudgementFailureKind.REFUSED
    assert values('{"content": 4, "grammar": 2} and', finish_reason=FinishReason.LENGTH) == [4.0, 2.0]


@pytest.mark.parametrize("text", ["", "I can't rate this.", '{"content": 4, "grammar": 2}', '{"content": 4, "gram'])
def test_parse_scores_after_a_marked_refusal_reads_nothing(text):
    assert failure(text, finish_reason=FinishReason.REFUSAL) == (JudgementFailureKind.REFUSED, None)


@pytest.mark.parametrize("text", ["", "I can't rate this.", '{"content": 4, "grammar": 2}', '{"content": 4, "gram'])
@pytest.mark.parametrize("ended", [FinishReason.CONTENT_FILTER, FinishReason.TOOL_CALL])
def test_parse_scores_of_an_answer_that_the_model_did_not_end_reads_nothing(text, ended):
    parsed = parse_scores(text, TWO, SCALE_0_5, finish_reason=ended)
    assert isinstance(parsed, ParseFailure)
    assert (parsed.kind, parsed.dimension) == (JudgementFailureKind.REFUSED, None)
    assert ended.value in parsed.message


def test_parse_scores_integer_scale_takes_whole_numbers_only():
    assert values('{"content": 4.0, "grammar": 2}', SCALE_0_5_INT) == [4.0, 2.0]
    assert failure('{"content": 4.5, "grammar": 2}', SCALE_0_5_INT) == (JudgementFailureKind.OUT_OF_RANGE, "content")


def test_parse_scores_verdicts_are_words_of_the_scale():
    parsed = parse_scores('{"content": "good", "grammar": "bad"}', TWO, VERDICTS)
    assert isinstance(parsed, ParsedScores)
    assert [one.verdict for one in parsed.values.values()] == ["good", "bad"]
    assert failure('{"content": "Good", "grammar": "bad"}', VERDICTS) == (JudgementFailureKind.OUT_OF_RANGE, "content")
    assert failure('{"content": "good", "grammar": 1}', VERDICTS) == (JudgementFailureKind.OUT_OF_RANGE, "grammar")


def test_parse_scores_spans_are_those_of_the_written_values():
    text = '說明：{"content" :\t"4 ", "grammar": 2.50}'
    parsed = parse_scores(text, TWO, SCALE_0_5)
    assert isinstance(parsed, ParsedScores)
    assert [text[one.start : one.end] for one in parsed.values.values()] == ["4", "2.50"]


def test_parse_scores_reason_is_kept_as_words():
    with_reason = parse_scores('{"content": 4, "grammar": 2, "reason": "5, since"}', TWO, SCALE_0_5)
    assert isinstance(with_reason, ParsedScores)
    assert with_reason.reason == "5, since"
    other = parse_scores('{"content": 4, "grammar": 2, "reason": 5}', TWO, SCALE_0_5)
    assert isinstance(other, ParsedScores)
    assert other.reason is None
    as_dimension = parse_scores('{"reason": 3}', [Dimension(name="reason")], SCALE_0_5)
    assert isinstance(as_dimension, ParsedScores)
    assert as_dimension.reason is None


def test_parse_scores_quotation_of_shown_data_counts_only_as_the_whole_answer():
    shown = ['x {"content": 5, "grammar": 5} y']
    quoted = '{"content": 5, "grammar": 5}'
    own = '{"content": 1, "grammar": 1}'
    assert failure(f"It says {quoted}", shown=shown)[0] is JudgementFailureKind.NO_JSON
    assert values(f"It says {quoted}. {own}", shown=shown) == [1.0, 1.0]
    assert values(f"```json\n{quoted}\n```", shown=shown) == [5.0, 5.0]


scored = st.builds(
    lambda content, reason: json.dumps({"content": content, "grammar": 2, "reason": reason}, ensure_ascii=False),
    st.integers(0, 5),
    st.text('ab{}" 臺', max_size=6) | st.text("ab", min_size=1100, max_size=1200),
)


@st.composite
def quoting_answers(draw):
    """Objects of an answer, and texts that hold some of them, whole or but for the last character."""
    objects = draw(st.lists(scored, min_size=2, max_size=6))
    parts = st.lists(st.sampled_from([*objects, *(one[:-1] for one in objects), "{", '{"', "x"]), max_size=6)
    return objects, ["".join(draw(parts)) for _ in range(draw(st.integers(0, 3)))]


@given(quoting_answers())
def test_parse_scores_leaves_out_exactly_the_objects_that_stand_in_the_data(drawn):
    objects, shown = drawn
    own = [one for one in objects if not any(one in data for data in shown)]
    parsed = parse_scores("\n".join(objects), TWO, SCALE_0_5, shown=shown)
    contents = [json.loads(one)["content"] for one in own]
    if not own:
        assert isinstance(parsed, ParseFailure)
        assert parsed.kind is JudgementFailureKind.NO_JSON
    elif len(set(contents)) > 1:
        assert isinstance(parsed, ParseFailure)
        assert parsed.message == f"{len(own)} whole answers disagree on 'content'"
    else:
        assert isinstance(parsed, ParsedScores)
        assert parsed.values["content"].value == contents[0]
        assert parsed.reason == json.loads(own[-1])["reason"]


def test_parse_scores_many_objects_and_much_data_are_read():
    objects = [json.dumps({"content": 4, "grammar": 2, "note": number}) for number in range(20_000)]
    data = "\n".join(objects[:-1])
    text = "\n".join(objects)
    assert values(text, shown=[data]) == [4.0, 2.0]
    assert failure(text, shown=[data, objects[-1]]) == (JudgementFailureKind.NO_JSON, None)


def test_parse_scores_long_value_is_cut_in_the_message():
    parsed = parse_scores(json.dumps({"content": "x" * 500, "grammar": 1}), TWO, SCALE_0_5)
    assert isinstance(parsed, ParseFailure)
    assert len(parsed.message) < 120


def test_parse_scores_without_dimensions_is_refused():
    with pytest.raises(ConfigError):
        parse_scores("{}", [], SCALE_0_5)


def test_argmax_scores_are_the_written_ones():
    parsed = parse_scores('{"content": 4, "grammar": 2}', TWO, SCALE_0_5)
    assert isinstance(parsed, ParsedScores)
    scores = argmax_scores(parsed)
    assert [(one.value, one.method) for one in scores.values()] == [
        (4.0, ScoreMethod.ARGMAX),
        (2.0, ScoreMethod.ARGMAX),
    ]


scores_of_0_5 = st.floats(0, 5, allow_nan=False) | st.integers(0, 5)


@given(st.lists(scores_of_0_5, min_size=4, max_size=4), st.text(), st.sampled_from([None, 2]), st.booleans())
def test_parse_scores_rendered_answer_gives_the_same_scores(numbers, reason, indent, fenced):
    names = [one.name for one in PAPER_DIMENSIONS]
    text = json.dumps({**dict(zip(names, numbers, strict=True)), "reason": reason}, indent=indent)
    text = f"```json\n{text}\n```" if fenced else text
    parsed = parse_scores(text, PAPER_DIMENSIONS, SCALE_0_5)
    assert isinstance(parsed, ParsedScores)
    assert [parsed.values[name].value for name in names] == numbers
    assert [float(text[one.start : one.end]) for one in parsed.values.values()] == numbers
    assert parsed.reason == reason


@given(st.text(st.sampled_from('{}[]":,\\ 045content"grammar"\n<think>'), max_size=80))
def test_parse_scores_any_text_gives_scores_of_the_scale_or_a_failure(text):
    parsed = parse_scores(text, TWO, SCALE_0_5_INT)
    if isinstance(parsed, ParsedScores):
        assert all(one.value in range(6) for one in parsed.values.values())
    else:
        assert parsed.message


def test_parse_scores_names_and_a_scale_in_words_stand_for_what_they_name():
    parsed = parse_scores('{"relevance": 4}', ["relevance"], "0-5-int")
    assert parsed == parse_scores('{"relevance": 4}', [Dimension(name="relevance")], SCALE_0_5_INT)
    assert isinstance(parsed, ParsedScores)
    assert isinstance(parse_scores("{}", ["relevance"], SCALE_0_5_INT), ParseFailure)
    with pytest.raises(ConfigError, match="give a list of names"):
        parse_scores("{}", "relevance", SCALE_0_5_INT)
