"""How the quickstart's recorded judge was asked; `tools/build_judge_sample.py` records by the same settings."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_eval import JudgeSettings


def judge_settings() -> "JudgeSettings":
    """Return the settings of the judge stage: the Taiwanese Mandarin prompt, whole scores from 0 to 5, a reason."""
    from llm_eval import SCALE_0_5_INT, JudgeSettings, PromptStyle

    return JudgeSettings(scale=SCALE_0_5_INT, style=PromptStyle.ZH_TW, structured=True, with_reason=True)
