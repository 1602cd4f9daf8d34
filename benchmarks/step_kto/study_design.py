"""What the study of `study.py` fixes before it runs: seeds, sizes, methods, settings (study_plan.md says why)."""

from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from toy_sft import StartSettings

from step_kto._arithmetic import Split
from step_kto._judge_spec import JudgeSettings
from step_kto._label_settings import LabelSettings
from step_kto._sample_settings import SampleSettings
from step_kto._selection import SelectionRules
from step_kto._stage_evaluate import EvaluateSettings
from step_kto._train_settings import TrainSettings

SEEDS = (1, 2, 3, 4, 5)
ABLATION_SEEDS = (1, 2, 3)
TUNING_SEED = 100
NUM_PROBLEMS = 200
NUM_EVALUATED = 160
NUM_TUNED = 100
NUM_SAMPLES = 8
NUM_UPDATES = 40
# the first two were added after the tuning, before any seed of the study was trained (study_plan.md)
LEARNING_RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
KINDS = ("rft", "kto", "dpo", "step-kto")
START = "start"
STEP_KTO = "step-kto"

# no limit of time, which would let other work on the machine decide what a start knows
START_SETTINGS = StartSettings(max_cpu_seconds=inf)
PROBLEMS = START_SETTINGS.problems
SAMPLE = SampleSettings(num_samples=NUM_SAMPLES, temperature=1.0, max_tokens=120)
LABEL = LabelSettings(steps="markers", require_marked_answer=True, judge=JudgeSettings(judge="arithmetic"))
RULES = SelectionRules(all_right="drop", all_wrong="drop", truncated="drop", repeated="drop")
EVALUATE = EvaluateSettings(
    sample=SAMPLE, label=replace(LABEL, judge=JudgeSettings(judge="arithmetic-truth")), ks=(4, 8)
)
TRAIN = TrainSettings(
    max_steps=NUM_UPDATES,
    batch_size=32,
    lr_scheduler="constant",
    beta=0.1,
    step_beta=0.1,
    balance_weights=True,
    save_steps=200,
    logging_steps=10,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to train on the samples of a seed.

    Attributes:
        name: of its folder.
        group: heading of the report.
        kind: of `TrainSettings`.
        changes: fields of `TrainSettings` that differ from `TRAIN`.
        noise: share of step labels that are flipped before training, in [0, 1].
    """

    name: str
    group: str
    kind: str = STEP_KTO
    changes: dict[str, Any] = field(default_factory=dict[str, Any])
    noise: float = 0.0

    def settings(self, *, learning_rate: float, seed: int) -> TrainSettings:
        """What it is trained with."""
        fields = {"kind": self.kind, "learning_rate": learning_rate, "seed": seed, **self.changes}
        return replace(TRAIN, **fields)


COMPARED = tuple(Variant(name=kind, group="comparison", kind=kind) for kind in KINDS)
ABLATED = (
    Variant(name="z0-sampled", group="z0 of the steps (segments)", changes={"step_z0": "sampled"}),
    Variant(name="z0-zero", group="z0 of the steps (segments)", changes={"step_z0": "zero"}),
    Variant(name="step-weight-0", group="weights (outcome 1, step 1)", changes={"step_weight": 0.0}),
    Variant(name="step-weight-0.5", group="weights (outcome 1, step 1)", changes={"step_weight": 0.5}),
    Variant(name="step-weight-2", group="weights (outcome 1, step 1)", changes={"step_weight": 2.0}),
    Variant(name="outcome-weight-0", group="weights (outcome 1, step 1)", changes={"outcome_weight": 0.0}),
    Variant(name="mask", group="after the first error (as judged)", changes={"after_first_error": "mask"}),
    Variant(name="negative", group="after the first error (as judged)", changes={"after_first_error": "negative"}),
    Variant(name="noise-10", group="flipped step labels (0 %)", noise=0.1),
    Variant(name="noise-30", group="flipped step labels (0 %)", noise=0.3),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlan:
    """Where a seed draws from; the tuning seed is evaluated on the validation split.

    Attributes:
        seed: of everything.
        split: of the evaluated problems.
        num_evaluated: problems.
    """

    seed: int
    split: Split
    num_evaluated: int

    @classmethod
    def of(cls, seed: int) -> "SeedPlan":
        """The plan of a seed."""
        if seed == TUNING_SEED:
            return cls(seed=seed, split=Split.VALIDATION, num_evaluated=NUM_TUNED)
        return cls(seed=seed, split=Split.TEST, num_evaluated=NUM_EVALUATED)
