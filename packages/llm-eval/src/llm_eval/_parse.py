"""Reads scores from what a judge wrote. A failure is typed and never a number; nothing is clamped or guessed.

The rule: the answer is the last whole object of the text; whole means that it holds every dimension as a key of its
own. Objects inside of other objects, numbers in prose and in the reason never count. Where several whole objects
disagree, one is followed by one that breaks off, or a key comes twice in one, nobody can tell which is meant: the
answer is ambiguous.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from llm_eval._dimensions import REASON_KEY, Dimension, check_dimensions, read_dimensions
from llm_eval._json_objects import JSON_NUMBER, DecodedJson, FoundObject, Member, find_objects
from llm_eval._judgements import DimensionScore, JudgementFailureKind, ParseFailure, ScoreMethod
from llm_eval._quotations import find_quoted
from llm_eval._scales import NumberScale, Scale, read_scale
from twllm_types import FinishReason, FrozenDict

_THINK, _END_THINK = "<think>", "</think>"
_FENCE = re.compile(r"```[A-Za-z0-9_-]*")
# Ends that are not the judge's own: what came before them is no answer to read, though it may look whole.
_NO_ANSWER = {
    FinishReason.REFUSAL: "the server marks the answer as a refusal",
    FinishReason.CONTENT_FILTER: "content_filter: the server's filter ended the answer; use a server without it",
    FinishReason.TOOL_CALL: "tool_call: the model called a tool instead of answering; offer it none",
}
# Only tells `refused` from `no_json`: it is asked where there is no object to read.
_REFUSAL = re.compile(
    r"\W*(?:(?:I['’]?m|I am|we are|we['’]re)\s+(?:very |so |really )?(?:sorry|unable|not able)|sorry|"
    r"(?:I|we)\s+(?:cannot|can['’]?t|can not|won['’]?t|will not|must decline|decline)\b|as an AI\b|"
    r"(?:很|非常|十分)?抱歉|對不起|不好意思|"
    r"(?:很遺憾，?)?(?:我|本模型)(?:無法|不能|沒辦法|沒有辦法|拒絕))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedValue:
    """One score as it was written.

    Attributes:
        value: the number; None exactly where it is a verdict.
        verdict: the word; None exactly where it is a number.
        start: offset of its first character in the text, behind a quotation mark.
        end: offset behind its last character, before a quotation mark.
    """

    value: float | None
    verdict: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedScores:
    """The scores of one answer.

    Attributes:
        values: one per dimension, in the order in which they were asked for.
        reason: the explanation beside them; None where there is none. Numbers in it are words.
    """

    values: Mapping[str, ParsedValue]
    reason: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", FrozenDict(self.values))


def parse_scores(
    text: str,
    dimensions: Sequence[Dimension | str],
    scale: Scale | str,
    *,
    finish_reason: FinishReason | None = None,
    shown: Sequence[str] = (),
) -> ParsedScores | ParseFailure:
    """Read the score of every dimension.

    Accepted around the object: prose, code fences, a `<think>` block at the beginning. Accepted in it: other keys, a
    comma before the closing brace, a number that is written as a string ("4": nothing else can be meant, and small
    models quote often), 4.0 on an integer scale. Not accepted: true and false, NaN, "4/5", "four", null.

    Args:
        text: what the judge wrote.
        dimensions: what was asked for; a name stands for a dimension without definition.
        scale: of every dimension, or its text ("0-5-int").
        finish_reason: why the text ended; None where it is not known, then a text that ends inside of an object
            counts as truncated. After REFUSAL, CONTENT_FILTER or TOOL_CALL nothing is read: `refused`.
        shown: texts that the prompt showed as data. An object amid other text that stands letter for letter in one of
            them is a quotation and no answer; one that is the whole answer is the judge's own.

    Returns:
        The scores, or the failure: of the whole text, or of the first dimension at fault.

    Raises:
        ConfigError: the dimensions do not fit together.
    """
    asked, values = read_dimensions(dimensions), read_scale(scale)
    check_dimensions(asked, values)
    if (unfinished := no_answer(finish_reason)) is not None:
        return unfinished
    names = [dimension.name for dimension in asked]
    start = _start_of_answer(text)
    found = find_objects(text, start) if start is not None else None
    candidates = [] if found is None else _candidates(text[start:], text, found.objects, names=names, shown=shown)
    whole = [one for one in candidates if all(one.find(name) is not None for name in names)]
    broken_at = None if found is None else found.broken_at
    if whole and broken_at is not None and any(f'"{name}"' in text[broken_at:] for name in names):
        # The broken rest may have swallowed the judge's own answer, and what is whole be a quotation.
        message = "a whole answer is followed by one that breaks off"
        return ParseFailure(kind=JudgementFailureKind.AMBIGUOUS, message=message)
    if whole:
        return _read_whole(text, whole, names=names, scale=values)
    is_cut_off = found is None or found.is_cut_off
    return _failure(text[start:], candidates, names=names, is_cut_off=is_cut_off, finish_reason=finish_reason)


def argmax_scores(parsed: ParsedScores) -> dict[str, DimensionScore]:
    """Return the scores as written, by the method ARGMAX."""
    return {
        name: DimensionScore(value=one.value, verdict=one.verdict, method=ScoreMethod.ARGMAX)
        for name, one in parsed.values.items()
    }


def no_answer(finish_reason: FinishReason | None) -> ParseFailure | None:
    """Return the failure of a text that, by its end, is no answer whatever stands in it; None for any other."""
    message = None if finish_reason is None else _NO_ANSWER.get(finish_reason)
    return None if message is None else ParseFailure(kind=JudgementFailureKind.REFUSED, message=message)


def is_refusal(text: str) -> bool:
    """Tell whether a text that holds no answer begins as a model does that declines, in English or Mandarin."""
    return _REFUSAL.match(text) is not None


def _start_of_answer(text: str) -> int | None:
    """Offset behind a `<think>` block at the beginning; None where the block never ends."""
    lead = len(text) - len(text.lstrip())
    if not text.startswith(_THINK, lead):
        return 0
    end = text.find(_END_THINK, lead)
    return None if end < 0 else end + len(_END_THINK)


def _candidates(
    answer: str, text: str, objects: Sequence[FoundObject], *, names: Sequence[str], shown: Sequence[str]
) -> list[FoundObject]:
    """Objects that hold a dimension and are no quotation of what was shown."""
    alone = _FENCE.sub("", answer).strip()
    rated = [(one, text[one.start : one.end]) for one in objects if any(one.find(name) for name in names)]
    quoted = find_quoted((written for _, written in rated if written != alone), shown)
    return [one for one, written in rated if written not in quoted]


def _read_whole(
    text: str, whole: Sequence[FoundObject], *, names: Sequence[str], scale: Scale
) -> ParsedScores | ParseFailure:
    for one in whole:
        counts = Counter(member.key for member in one.members)
        repeated = next((key for key, count in counts.items() if count > 1), None)
        if repeated is not None:
            return ParseFailure(
                kind=JudgementFailureKind.AMBIGUOUS,
                dimension=repeated if repeated in names else None,
                message=f"the key {repeated!r} comes twice in one object",
            )
    last = whole[-1]
    members = {name: member for name in names if (member := last.find(name)) is not None}
    for name, member in members.items():
        if any(_differ(one.find(name), member) for one in whole):
            message = f"{len(whole)} whole answers disagree on {name!r}"
            return ParseFailure(kind=JudgementFailureKind.AMBIGUOUS, dimension=name, message=message)
    values: dict[str, ParsedValue] = {}
    for name, member in members.items():
        read = _read_value(text, name, member, scale)
        if isinstance(read, ParseFailure):
            return read
        values[name] = read
    reason = None if REASON_KEY in names else last.find(REASON_KEY)
    return ParsedScores(values=values, reason=reason.value if reason and isinstance(reason.value, str) else None)


def _differ(first: Member | None, second: Member) -> bool:
    # By representation, since True equals 1 and NaN does not equal itself in Python.
    return first is None or repr(first.value) != repr(second.value)


def _read_value(text: str, name: str, member: Member, scale: Scale) -> ParsedValue | ParseFailure:
    is_text = isinstance(member.value, str)
    start, end = (member.start + 1, member.end - 1) if is_text else (member.start, member.end)
    written = text[start:end]
    if not isinstance(scale, NumberScale):
        if not is_text or member.value not in scale.verdicts:
            return _fault(JudgementFailureKind.OUT_OF_RANGE, name, member.value, "is none of the verdicts")
        return ParsedValue(value=None, verdict=str(member.value), start=start, end=end)
    number = _number(member.value)
    if number is None:
        return _fault(JudgementFailureKind.NOT_A_NUMBER, name, member.value, "is no number")
    if not scale.contains(number):
        return _fault(JudgementFailureKind.OUT_OF_RANGE, name, member.value, "is no score of the scale")
    pad = len(written) - len(written.lstrip())
    return ParsedValue(value=number, verdict=None, start=start + pad, end=start + pad + len(written.strip()))


def _number(value: DecodedJson) -> float | None:
    if isinstance(value, str) and JSON_NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    # adding zero makes -0.0 the zero of the scale
    return number + 0.0 if isfinite(number) else None


def _fault(kind: JudgementFailureKind, name: str, value: DecodedJson, what: str) -> ParseFailure:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ParseFailure(kind=kind, dimension=name, message=f"{name!r} is {shown}, which {what}")


def _failure(
    answer: str,
    candidates: Sequence[FoundObject],
    *,
    names: Sequence[str],
    is_cut_off: bool,
    finish_reason: FinishReason | None,
) -> ParseFailure:
    """Say why there is no whole answer: what stopped the text comes before what is missing in it."""
    if finish_reason is FinishReason.LENGTH or (finish_reason is None and is_cut_off):
        return ParseFailure(kind=JudgementFailureKind.TRUNCATED, message="the text ends before the answer is whole")
    if candidates:
        missing = next(name for name in names if candidates[-1].find(name) is None)
        message = f"the answer has no {missing!r}"
        return ParseFailure(kind=JudgementFailureKind.MISSING_DIMENSION, dimension=missing, message=message)
    if is_refusal(answer):
        return ParseFailure(kind=JudgementFailureKind.REFUSED, message="the model declined to rate")
    return ParseFailure(kind=JudgementFailureKind.NO_JSON, message="there is no JSON object with a dimension")
