"""A judge as a function: items in, judgements out, nothing written."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypedDict, TypeVar, Unpack

from llm_eval._dimensions import PAPER_DIMENSIONS, Dimension
from llm_eval._items import JudgeItem
from llm_eval._judge_ask import ask, check_engine
from llm_eval._judge_plan import may_try_again, plan_judgements
from llm_eval._judge_settings import JudgeSettings, PromptForm, RetryPolicy
from llm_eval._judgements import Judgement, ScoreMethod
from llm_eval._prompts import PromptStyle, read_style
from llm_eval._scales import SCALE_0_5, Scale, parse_scale
from twllm_engines import Engine
from twllm_types import ConfigError

_Word = TypeVar("_Word", bound=StrEnum)


class PlainChoices(TypedDict, total=False):
    """Settings of `JudgeSettings` that need no reading."""

    num_samples: int
    repeats: int
    temperature: float | None
    retry: RetryPolicy
    structured: bool
    with_reason: bool
    max_tokens: int
    min_captured_mass: float | None
    shuffle_dimensions: bool
    taiwan_rule: bool | None
    seed: int


class JudgeChoices(PlainChoices, total=False):
    """Settings of `JudgeSettings` that may be left at their defaults."""

    score_method: ScoreMethod | str
    form: PromptForm | str


def judge(
    items: Sequence[JudgeItem],
    engine: Engine,
    *,
    dimensions: Sequence[Dimension | str] = PAPER_DIMENSIONS,
    scale: Scale | str = SCALE_0_5,
    style: PromptStyle | str = PromptStyle.PAPER,
    **choices: Unpack[JudgeChoices],
) -> list[Judgement]:
    """Judge items, one call each for all dimensions.

    Args:
        items: what is judged; each id once.
        engine: the judge's model.
        dimensions: what is rated; a name stands for a dimension without definition.
        scale: of every dimension, or its text ("0-5", "0-5-int", "good,fair,bad").
        style: wording of the prompt.
        **choices: further settings, as `JudgeSettings` describes them.

    Returns:
        One judgement per item and repeat, in the order of the items; a failure is among them as what it is.

    Raises:
        ConfigError: a setting is out of range, or the engine cannot do what is asked; nothing has been asked then.
        DataError: there is no item, or two have one id.
        EngineError: the engine as a whole fails.
    """
    stream = judge_stream(items, engine, dimensions=dimensions, scale=scale, style=style, **choices)
    found = {(judgement.item_id, judgement.repeat): judgement for judgement in stream}
    places = {item.id: at for at, item in enumerate(items)}
    return [found[key] for key in sorted(found, key=lambda key: (places[key[0]], key[1]))]


def judge_stream(
    items: Sequence[JudgeItem],
    engine: Engine,
    *,
    dimensions: Sequence[Dimension | str] = PAPER_DIMENSIONS,
    scale: Scale | str = SCALE_0_5,
    style: PromptStyle | str = PromptStyle.PAPER,
    **choices: Unpack[JudgeChoices],
) -> Iterator[Judgement]:
    """Yield the judgements of `judge` as answers come, each item and repeat once; settings are checked at once.

    Raises:
        ConfigError: as `judge`, before the first judgement.
        DataError: as `judge`.
    """
    settings = make_settings(dimensions=dimensions, scale=scale, style=style, **choices)
    planned = plan_judgements(items, settings)
    check_engine(engine, settings)
    return (attempt for attempt in ask(engine, planned, settings) if not may_try_again(attempt, settings))


def make_settings(
    *,
    dimensions: Sequence[Dimension | str] = PAPER_DIMENSIONS,
    scale: Scale | str = SCALE_0_5,
    style: PromptStyle | str = PromptStyle.PAPER,
    score_method: ScoreMethod | str = ScoreMethod.ARGMAX,
    form: PromptForm | str = PromptForm.CHAT_API,
    weights: Mapping[str, float] | None = None,
    **choices: Unpack[PlainChoices],
) -> JudgeSettings:
    """Return settings from plain values.

    Raises:
        ConfigError: a word is none of its set, or a value is out of range.
    """
    return JudgeSettings(
        dimensions=tuple(one if isinstance(one, Dimension) else Dimension(name=one) for one in dimensions),
        scale=parse_scale(scale) if isinstance(scale, str) else scale,
        style=read_style(style),
        score_method=_read(ScoreMethod, score_method, "score method"),
        form=_read(PromptForm, form, "form"),
        weights=weights or {},
        **choices,
    )


def _read(kind: type[_Word], word: str, name: str) -> _Word:
    try:
        return kind(word)
    except ValueError as error:
        raise ConfigError(f"{name} {word!r} is unknown; give one of {', '.join(kind)}") from error
