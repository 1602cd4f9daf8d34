"""The quickstart's augmentation stage: intents of a help desk, with recorded generations, through `icda`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from twllm_runs import Progress
from twllm_types import Estimate, FrozenDict

if TYPE_CHECKING:
    from icda.jobs import IcdaRun


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentCounts:
    """What became of the lines of one intent; `num_lines` is the sum of the other numbers.

    Attributes:
        intent: the label.
        num_lines: in the recorded completions.
        num_rejected: in cleaning.
        num_surplus: good lines beyond those wanted.
        num_dropped: candidates that the selection drops.
        num_kept: candidates that it keeps.
        reasons: rejected lines by reason.
    """

    intent: str
    num_lines: int
    num_rejected: int
    num_surplus: int
    num_dropped: int
    num_kept: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentsRun:
    """What the stage gave.

    Attributes:
        counts: by intent.
        accuracies: on the test rows, by what was trained on: `seeds-only` first, `selected` second.
        verdict: one sentence: whether anything beats the seeds alone.
        warnings: of the guards, with their numbers.
        num_faults: requests that failed.
    """

    counts: tuple[IntentCounts, ...]
    accuracies: Mapping[str, Estimate]
    verdict: str
    warnings: tuple[str, ...]
    num_faults: int

    @property
    def above_selection(self) -> tuple[str, ...]:
        """What was trained on with a higher mean accuracy than the selection; whether by chance is not said."""
        selected = self.accuracies["selected"].mean or 0.0
        return tuple(name for name, one in self.accuracies.items() if (one.mean or 0.0) > selected)


def run_intents(output: Path, *, progress: Progress) -> IntentsRun:
    """Replay the generation, then score, select, train and measure; what is finished is read, what was killed goes on.

    Args:
        output: folder of the run of `icda`.
        progress: display.

    Raises:
        TwllmError: as `icda.jobs.run_icda`.
    """
    from icda.jobs import run_icda
    from twllm_engines import ReplaySettings, load_engine
    from twllm_pipeline._intents_sample import intents_recipe

    with (
        resources.as_file(resources.files("twllm_pipeline") / "sample" / "intents") as sample,
        load_engine(ReplaySettings(file=sample / "recorded.jsonl")) as engine,
    ):
        return _summed_up(run_icda(intents_recipe(sample), output=output, progress=progress, engine=engine))


def _summed_up(run: "IcdaRun") -> IntentsRun:
    scored, selected, trained = run.scored, run.selected, run.trained
    if scored is None or selected is None or trained is None:  # pragma: no cover - the sample has test rows
        raise AssertionError
    return IntentsRun(
        counts=_counts(run),
        accuracies=FrozenDict({arm.arm: arm.accuracy for arm in trained.arms}),
        verdict=trained.verdict,
        warnings=tuple(f"{one.name.value}: {one.message}" for one in (*scored.guards, *selected.guards)),
        num_faults=run.num_faults,
    )


def _counts(run: "IcdaRun") -> tuple[IntentCounts, ...]:
    yields = () if run.generated is None else run.generated.yields
    decisions = () if run.selected is None else run.selected.decisions
    kept = Counter(one.decision.asked for one in decisions if one.decision.intent is not None)
    return tuple(
        IntentCounts(
            intent=one.intent,
            num_lines=one.num_lines,
            num_rejected=sum(one.rejected.values()),
            num_surplus=one.num_surplus,
            num_dropped=one.num_kept - kept[one.intent],
            num_kept=kept[one.intent],
            reasons=one.rejected,
        )
        for one in yields
    )
