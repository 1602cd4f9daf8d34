"""How the quickstart's recorded generator was asked; `tools/build_intents_sample.py` records by the same recipe."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icda.jobs import IcdaRecipe


def intents_recipe(sample: Path) -> "IcdaRecipe":
    """Return the recipe of the intent stage: `recipes/icda/help-desk-zh-tw.yaml`, asking and comparing less.

    Args:
        sample: folder that holds `seeds.jsonl` and `test.jsonl`.
    """
    from icda import PromptStyle, ThresholdRule
    from icda.jobs import DataFile, DataSettings, GenerateSettings, IcdaRecipe, ThresholdSettings, TrainSettings

    return IcdaRecipe(
        description="A help desk of an invented metro; what a model would write was recorded by hand.",
        data=DataSettings(
            files={name: DataFile(path=sample / f"{name}.jsonl") for name in ("seeds", "test")}, test="test"
        ),
        # two requests of six lines per intent: as much as was written by hand
        generate=GenerateSettings(
            style=PromptStyle.ZH_TW,
            num_examples=5,
            num_new=6,
            num_samples=1,
            num_per_intent=9,
            max_requests_per_intent=2,
            requests_per_round=1,
            temperature=0.9,
            top_p=0.9,
            max_tokens=256,
        ),
        thresholds=ThresholdSettings(rule=ThresholdRule.MEAN, shrinkage=2),
        # a probe, which no seed changes
        train=TrainSettings(seeds=(0,)),
    )
