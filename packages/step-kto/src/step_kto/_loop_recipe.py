"""The recipe of a loop: one tree of frozen dataclasses, read from YAML; every value says whose it is."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from step_kto._arithmetic import ArithmeticSettings, Split
from step_kto._label_settings import LabelSettings
from step_kto._problems import Problem, arithmetic_problems, load_problems
from step_kto._sample_settings import SampleSettings
from step_kto._selection import SelectionRules
from step_kto._stage_evaluate import EvaluateSettings
from step_kto._train_settings import TrainSettings
from twllm_types import ConfigError

ReferencePolicyName: TypeAlias = Literal["previous", "initial"]

_MODEL = "{model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticSource:
    """Problems of the arithmetic task.

    Attributes:
        num_problems: how many, >= 1.
        split: "train", "validation" or "test", which share no problem.
        seed: of the draw.
        settings: how hard.

    Raises:
        ConfigError: the number is below 1.
    """

    num_problems: int
    split: Split = Split.TRAIN
    seed: int = 0
    settings: ArithmeticSettings = field(default_factory=ArithmeticSettings)

    def __post_init__(self) -> None:
        if self.num_problems < 1:
            raise ConfigError(f"num_problems is {self.num_problems}; give a number >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSource:
    """Where problems come from: exactly one of the two.

    Attributes:
        file: JSONL of `{"prompt", "answer", "reference"?, "expression"?}`, from the current folder.
        arithmetic: made by seed.

    Raises:
        ConfigError: none is given, or both.
    """

    file: Path | None = None
    arithmetic: ArithmeticSource | None = None

    def __post_init__(self) -> None:
        if (self.file is None) == (self.arithmetic is None):
            raise ConfigError("a source of problems needs either 'file' or 'arithmetic'; give one of them")

    def load(self) -> tuple[Problem, ...]:
        """Read or make the problems.

        Raises:
            DataError: the file is damaged.
            ConfigError: the settings of the arithmetic task hold too few problems.
        """
        if self.arithmetic is not None:
            made = self.arithmetic
            return arithmetic_problems(made.num_problems, split=made.split, seed=made.seed, settings=made.settings)
        return load_problems(self.file or Path())


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRecipe:
    """The whole loop: sample, label, build, train, evaluate, and again with the trained model.

    That several iterations are run, and that three of them are reported for 8B, is the paper's (arXiv 2501.10799,
    table 3); which model is the reference, how many samples and prompts, and every hyper-parameter are not known to us
    and are ours.

    Attributes:
        model: folder or hub id of the start, M0.
        problems: that are sampled and trained on.
        description: for people.
        evaluation_problems: that models are evaluated on; none may be trained on. None for no evaluation.
        iterations: >= 1. 3 [paper, for 8B].
        reference: of the loss: "previous", the model that the iteration begins with [ours], or "initial", M0.
        problems_per_iteration: drawn by seed for each iteration; None for all.
        engine: spec with {model} where the model's folder goes. "hf:{model}" [ours].
        evaluate_start: also evaluate M0.
        seed: of everything: stages derive theirs from it and the iteration, and set none of their own.
        sample: see `SampleSettings`.
        label: see `LabelSettings`.
        build: see `SelectionRules`.
        train: see `TrainSettings`.
        evaluate: see `EvaluateSettings`.

    Raises:
        ConfigError: the parts contradict each other.
    """

    model: str
    problems: ProblemSource
    description: str = ""
    evaluation_problems: ProblemSource | None = None
    iterations: int = 3
    reference: ReferencePolicyName = "previous"
    problems_per_iteration: int | None = None
    engine: str = "hf:{model}"
    evaluate_start: bool = True
    seed: int = 0
    sample: SampleSettings = field(default_factory=SampleSettings)
    label: LabelSettings = field(default_factory=LabelSettings)
    build: SelectionRules = field(default_factory=SelectionRules)
    train: TrainSettings = field(default_factory=TrainSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)

    def __post_init__(self) -> None:
        for name in ("iterations", "problems_per_iteration"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} is {value}; give a number >= 1")
        if _MODEL not in self.engine:
            raise ConfigError(
                f"engine is {self.engine!r}, which names no {_MODEL}; each iteration has a model of its own"
            )
        for name, seed in (
            ("sample.seed", self.sample.seed),
            ("train.seed", self.train.seed),
            ("evaluate.sample.seed", self.evaluate.sample.seed),
        ):
            if seed:
                raise ConfigError(f"{name} is {seed}; set the loop's own 'seed', from which the stages derive theirs")
        if self.reference == "initial" and self.train.kind != "step-kto":
            raise ConfigError(
                f"reference is 'initial' and train.kind {self.train.kind!r}, whose reference is 'previous'"
            )
        self._check_formats()
        self._check_judges()

    def _check_formats(self) -> None:
        formats = {
            (part.prompt_format, part.system_prompt) for part in (self.sample, self.train, *self._evaluation_parts())
        }
        if len(formats) > 1:
            raise ConfigError(
                "prompt_format and system_prompt differ between sample, train and evaluate; the model would be trained "
                "on another prompt than it is asked with"
            )

    def _evaluation_parts(self) -> tuple[SampleSettings, ...]:
        return () if self.evaluation_problems is None else (self.evaluate.sample,)

    def _check_judges(self) -> None:
        mine, theirs = self.label.judge.judge, self.evaluate.label.judge.judge
        trains_on_steps = self.train.kind == "step-kto" and mine != "none"
        if self.evaluation_problems is None or not trains_on_steps or self.evaluate.allow_same_judge:
            return
        if mine == theirs:
            raise ConfigError(
                f"evaluate.label.judge is {theirs!r}, which also labels the training set and so flatters the result; "
                "take another judge, or set evaluate.allow_same_judge: true"
            )

    def engine_of(self, model: str) -> str:
        """The engine spec of a model."""
        return self.engine.replace(_MODEL, model)

    def sample_of(self, iteration: int) -> SampleSettings:
        """Settings of sampling in an iteration."""
        return replace(self.sample, seed=derived_seed(self.seed, "sample", iteration))

    def train_of(self, iteration: int) -> TrainSettings:
        """Settings of training in an iteration."""
        return replace(self.train, seed=derived_seed(self.seed, "train", iteration))

    def evaluate_settings(self) -> EvaluateSettings:
        """Settings of every evaluation: models are compared on the same seeds."""
        sample = replace(self.evaluate.sample, seed=derived_seed(self.seed, "evaluate", 0))
        return replace(self.evaluate, sample=sample)

    def problems_of(self, iteration: int, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
        """The problems of an iteration: all, or so many drawn, in their order.

        Raises:
            ConfigError: there are fewer than are to be drawn.
        """
        count = self.problems_per_iteration
        if count is None:
            return problems
        if count > len(problems):
            raise ConfigError(f"problems_per_iteration is {count}, and there are {len(problems)} problems; lower it")
        # a draw to be repeated, not a secret
        rng = Random(derived_seed(self.seed, "problems", iteration))  # noqa: S311
        return tuple(problems[at] for at in sorted(rng.sample(range(len(problems)), count)))


def derived_seed(seed: int, stage: str, iteration: int) -> int:
    """A seed of 31 bits for one stage of one iteration."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{stage}:{iteration}".encode()).digest()[:4], "big") >> 1
