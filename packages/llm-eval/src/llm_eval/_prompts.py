"""Prompts: one user's message that asks for every dimension at once."""

from collections.abc import Sequence
from enum import StrEnum

from llm_eval._dimensions import Dimension, check_dimensions, read_dimensions
from llm_eval._items import JudgeItem
from llm_eval._prompts_paper import paper_prompt
from llm_eval._prompts_structured import structured_prompt
from llm_eval._prompts_zh_tw import zh_tw_prompt
from llm_eval._scales import Scale, read_scale
from twllm_types import ConfigError


class PromptStyle(StrEnum):
    """Wording of a prompt.

    PAPER and REPO are LLM-Eval's, byte for byte; a response stands in them as it is, unprotected. STRUCTURED and ZH_TW
    are ours, in English and in Taiwanese Mandarin; their data are JSON strings.
    """

    PAPER = "paper"
    REPO = "repo"
    STRUCTURED = "structured"
    ZH_TW = "zh-TW"


def build_prompt(
    item: JudgeItem,
    dimensions: Sequence[Dimension | str],
    scale: Scale | str,
    style: str = "paper",
    *,
    with_reason: bool = False,
    taiwan_rule: bool | None = None,
) -> str:
    """Return the one message that asks for all scores of an item; there is no system's turn.

    Texts of the item are put in once and never read as template. Outside of them the prompt depends only on which
    parts the item has (response, references, documents), never on what they say.

    Args:
        item: what is judged.
        dimensions: what is rated, in the order of the answer's keys; a name stands for one without definition.
        scale: of every dimension, or its text ("0-5-int").
        style: a `PromptStyle`.
        with_reason: ask for one sentence of explanation after the scores.
        taiwan_rule: whether Simplified characters and wording of mainland China lose points; only `zh-TW` has the
            rule, and None means that it applies there.

    Raises:
        ConfigError: no such style, it has no words for what is asked, or the dimensions do not fit the scale.
    """
    chosen = read_style(style)
    rated, values = read_dimensions(dimensions), read_scale(scale)
    check_dimensions(rated, values, with_reason=with_reason)
    if taiwan_rule and chosen is not PromptStyle.ZH_TW:
        raise ConfigError(f"style {style!r} has no rule on Taiwanese wording; use the style 'zh-TW', or leave it out")
    match chosen:
        case PromptStyle.PAPER | PromptStyle.REPO:
            return paper_prompt(item, rated, values, style=chosen.value, with_reason=with_reason)
        case PromptStyle.STRUCTURED:
            return structured_prompt(item, rated, values, with_reason=with_reason)
        case PromptStyle.ZH_TW:
            return zh_tw_prompt(item, rated, values, with_reason=with_reason, taiwan_rule=taiwan_rule is not False)


def read_style(style: str) -> PromptStyle:
    """Return the style of this name.

    Raises:
        ConfigError: there is none.
    """
    try:
        return PromptStyle(style)
    except ValueError as error:
        raise ConfigError(f"style {style!r} is unknown; give one of {', '.join(PromptStyle)}") from error
