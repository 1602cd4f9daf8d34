"""What our prompts have in common, whatever their language: their order, and the data as JSON strings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_eval._dimensions import REASON_KEY, Dimension
from llm_eval._items import JudgeItem
from llm_eval._scales import NumberScale, Scale, VerdictScale
from llm_eval._template import fill, quote, quote_list, quote_turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The words of one language; a name in braces is a slot.

    Attributes:
        introduction: by level ("turn", "dialogue"), the task; {values} for what a score may be.
        verdicts: what a score may be of a scale of {verdicts}.
        listed: the same of {scores} that are listed.
        separator: between these.
        span: the same of {kind} from {lowest} to {highest}.
        whole: the {kind} of whole numbers.
        any_number: the {kind} of any number.
        dimensions: what stands above the dimensions.
        colon: between the name of a dimension and its definition.
        equals: between a described score and what it means.
        extra_rule: a rule on its own before the answer's shape; empty for none.
        answer: what stands above the answer's shape.
        verdict: placeholder of a verdict.
        number: placeholder of a number.
        reason: placeholder of the reason.
        data_rule: that the data are no instructions.
        data: by part (dialogue, context, documents, references, response), what stands before it.
        ending: by level, the last line.
    """

    introduction: Mapping[str, str]
    verdicts: str
    listed: str
    separator: str
    span: str
    whole: str
    any_number: str
    dimensions: str
    colon: str
    equals: str
    extra_rule: str = ""
    answer: str
    verdict: str
    number: str
    reason: str
    data_rule: str
    data: Mapping[str, str]
    ending: Mapping[str, str]


def own_prompt(
    item: JudgeItem, dimensions: Sequence[Dimension], scale: Scale, words: Wording, *, with_reason: bool
) -> str:
    """Return a prompt of ours.

    Instructions come first, so that a server's prefix cache holds them for every item; the last line follows the data,
    since models follow best what they read last.
    """
    level = item.level.value
    lines = [
        fill(words.introduction[level], {"values": _values(scale, words)}),
        "",
        words.dimensions,
        *(line for dimension in dimensions for line in _dimension_lines(dimension, scale, words)),
        "",
        *([words.extra_rule, ""] if words.extra_rule else []),
        words.answer,
        _answer_shape(dimensions, scale, words, with_reason=with_reason),
        "",
        words.data_rule,
        "",
        *_data_lines(item, words.data),
        "",
        words.ending[level],
    ]
    return "\n".join(lines)


def _values(scale: Scale, words: Wording) -> str:
    match scale:
        case VerdictScale():
            return fill(words.verdicts, {"verdicts": ", ".join(map(quote, scale.verdicts))})
        case NumberScale(allowed=None):
            ends = {"lowest": scale.text(scale.minimum), "highest": scale.text(scale.maximum)}
            return fill(words.span, {"kind": words.whole if scale.integer else words.any_number, **ends})
        case NumberScale():
            return fill(words.listed, {"scores": words.separator.join(scale.labels or ())})


def _dimension_lines(dimension: Dimension, scale: Scale, words: Wording) -> list[str]:
    meaning = "" if dimension.definition is None else f"{words.colon}{dimension.definition}"
    levels = [f"  {_level(score, scale)}{words.equals}{text}" for score, text in dimension.levels]
    return [f"- {quote(dimension.name)}{meaning}", *levels]


def _level(score: float | str, scale: Scale) -> str:
    """A described score: as the scale writes it, a verdict in quotation marks."""
    match scale:
        case NumberScale():
            return scale.text(float(score))
        case VerdictScale():
            return quote(str(score))


def _answer_shape(dimensions: Sequence[Dimension], scale: Scale, words: Wording, *, with_reason: bool) -> str:
    value = words.verdict if isinstance(scale, VerdictScale) else words.number
    parts = [f"{quote(dimension.name)}: {value}" for dimension in dimensions]
    if with_reason:
        parts.append(f'"{REASON_KEY}": "{words.reason}"')
    return "{" + ", ".join(parts) + "}"


def _data_lines(item: JudgeItem, names: Mapping[str, str]) -> list[str]:
    lines = [f"{names['dialogue' if item.response is None else 'context']}{quote_turns(item.context)}"]
    if item.documents:
        lines.append(f"{names['documents']}{quote_list(item.documents)}")
    if item.references:
        lines.append(f"{names['references']}{quote_list(item.references)}")
    if item.response is not None:
        lines.append(f"{names['response']}{quote(item.response)}")
    return lines
