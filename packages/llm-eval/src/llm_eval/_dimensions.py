"""What a judge rates: any list of names, with a meaning of each where one is given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_eval._scales import NumberScale, Scale, VerdictScale
from llm_eval._unicode import has_half_pair
from twllm_types import ConfigError, JsonObject, JsonValue

REASON_KEY = "reason"
"""Key of the explanation in an answer; no dimension may have this name where a reason is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One thing that is rated.

    Attributes:
        name: key in the judge's answer, one line, not empty.
        definition: what it means, for styles that show it; None for the bare name, as in LLM-Eval.
        levels: (score, what it means), in the order in which they are shown; a score of the scale, or a verdict.

    Raises:
        ConfigError: the name or a text is empty or not Unicode, the name has several lines, or a score is described
            twice.
    """

    name: str
    definition: str | None = None
    levels: tuple[tuple[float | str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip() or self.name != self.name.strip() or len(self.name.splitlines()) > 1:
            raise ConfigError(f"dimension name {self.name!r} is empty, padded or of several lines; give a plain name")
        if self.definition is not None and not self.definition.strip():
            raise ConfigError(f"dimension {self.name!r} has an empty definition; write one or leave it out")
        if any(not text.strip() for _, text in self.levels):
            raise ConfigError(f"dimension {self.name!r} has an empty level description; write it or leave it out")
        scores = [score for score, _ in self.levels]
        if len(set(scores)) < len(scores):
            raise ConfigError(f"dimension {self.name!r} describes a score twice; describe each once")
        words = (word for level in self.levels for word in level if isinstance(word, str))
        if any(has_half_pair(text) for text in (self.name, self.definition or "", *words)):
            raise ConfigError(f"dimension {self.name!r} holds half a surrogate pair; write the whole character")


PAPER_DIMENSIONS = tuple(Dimension(name=name) for name in ("content", "grammar", "relevance", "appropriateness"))
"""The four dimensions of LLM-Eval (arXiv 2305.13711), in the order of its schema; it defines none of them."""


def check_dimensions(dimensions: Sequence[Dimension], scale: Scale, *, with_reason: bool = False) -> None:
    """Refuse dimensions that one answer cannot hold.

    Raises:
        ConfigError: there is none, two share a name, one is named like the reason that is asked for, or a level
            describes what is no score of the scale.
    """
    names = [dimension.name for dimension in dimensions]
    if not names:
        raise ConfigError("there is no dimension; name at least one, such as relevance")
    if len(set(names)) < len(names):
        raise ConfigError(f"dimensions {names} repeat a name; name each once")
    if with_reason and REASON_KEY in names:
        raise ConfigError(f"a dimension is named {REASON_KEY!r}, the key of the reason; rename it or ask for no reason")
    for dimension in dimensions:
        for score, _ in dimension.levels:
            if not _is_score(score, scale):
                raise ConfigError(
                    f"dimension {dimension.name!r} describes {score!r}, which is no score of the scale; correct it"
                )


def read_dimensions(dimensions: Sequence[Dimension | str]) -> tuple[Dimension, ...]:
    """Return dimensions; a name stands for one without definition.

    Raises:
        ConfigError: one text in place of a list, something that is neither, or a name that cannot be.
    """
    if isinstance(dimensions, str):
        raise ConfigError(f"dimensions are the text {dimensions!r}; give a list of names, such as [{dimensions!r}]")
    return tuple(one if isinstance(one, Dimension) else dimension_from_json(one) for one in dimensions)


def dimension_from_json(value: JsonValue) -> Dimension:
    """Read a name, or `{name, definition?, levels?}` with levels as `{score: text}` or `[[score, text], ...]`.

    Keys of a JSON object are strings: one that is a number is read as that number.

    Raises:
        ConfigError: another layout, an unknown key, or a `Dimension` that cannot be.
    """
    if isinstance(value, str):
        return Dimension(name=value)
    if not isinstance(value, Mapping) or not isinstance(name := value.get("name"), str):
        raise ConfigError(f"dimension {value!r} is neither a name nor an object with one; give {{name, definition}}")
    unknown = sorted(set(value) - {"name", "definition", "levels"})
    definition = value.get("definition")
    if unknown or not isinstance(definition, str | None):
        raise ConfigError(f"dimension {name!r} has unknown keys {unknown} or no text as definition; correct it")
    return Dimension(name=name, definition=definition, levels=_read_levels(name, value.get("levels")))


def dimension_to_json(dimension: Dimension) -> JsonObject:
    """Return `{name, definition, levels}`; `dimension_from_json` is its inverse."""
    levels: list[JsonValue] = [[score, text] for score, text in dimension.levels]
    return {"name": dimension.name, "definition": dimension.definition, "levels": levels}


def _read_levels(name: str, value: JsonValue) -> tuple[tuple[float | str, str], ...]:
    if value is None:
        return ()
    if isinstance(value, Mapping):
        rows: list[JsonValue] = [[_number_or_word(key), text] for key, text in value.items()]
    else:
        rows = value if isinstance(value, list) else [value]
    levels: list[tuple[float | str, str]] = []
    for row in rows:
        match row:
            case [int() | float() | str() as score, str() as text] if not isinstance(score, bool):
                levels.append((score, text))
            case _:
                raise ConfigError(f"dimension {name!r}: level {row!r} is not [score, text]; correct it")
    return tuple(levels)


def _number_or_word(key: str) -> float | str:
    try:
        return float(key)
    except ValueError:
        return key


def _is_score(score: float | str, scale: Scale) -> bool:
    match scale:
        case NumberScale():
            return not isinstance(score, str) and scale.contains(score)
        case VerdictScale(verdicts=verdicts):
            return score in verdicts
