"""The JSON Schema of an answer, for engines that hold a model to one. No item enters it, so none can change it."""

from collections.abc import Sequence

from llm_eval._dimensions import REASON_KEY, Dimension, check_dimensions, read_dimensions
from llm_eval._scales import NumberScale, Scale, VerdictScale, read_scale
from twllm_types import JsonObject, JsonValue


def answer_schema(
    dimensions: Sequence[Dimension | str], scale: Scale | str, *, with_reason: bool = False
) -> JsonObject:
    """Return the schema of one answer: a closed object, all keys required, the dimensions in order, the reason last.

    A range becomes `minimum` and `maximum` of an integer or number, `allowed` and verdicts an `enum`. The reason comes
    after the scores, so that asking for it changes no score before it.

    Args:
        dimensions: what is rated; a name stands for a dimension without definition.
        scale: of every dimension, or its text ("0-5-int").
        with_reason: also ask for an explanation.

    Raises:
        ConfigError: the dimensions do not fit together or the scale (`check_dimensions`).
    """
    rated, values = read_dimensions(dimensions), read_scale(scale)
    check_dimensions(rated, values, with_reason=with_reason)
    properties: JsonObject = {dimension.name: _score_schema(values) for dimension in rated}
    if with_reason:
        properties[REASON_KEY] = {"type": "string"}
    required: list[JsonValue] = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _score_schema(scale: Scale) -> JsonObject:
    match scale:
        case VerdictScale(verdicts=verdicts):
            return {"type": "string", "enum": list(verdicts)}
        case NumberScale(allowed=None):
            low, high = (_number(value, scale) for value in (scale.minimum, scale.maximum))
            return {"type": _number_type(scale), "minimum": low, "maximum": high}
        case NumberScale():
            return {"type": _number_type(scale), "enum": [_number(value, scale) for value in scale.values or ()]}


def _number_type(scale: NumberScale) -> str:
    return "integer" if scale.integer else "number"


def _number(value: float, scale: NumberScale) -> int | float:
    return int(value) if scale.integer else value
