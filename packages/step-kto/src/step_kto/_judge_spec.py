"""Which step judge is meant by a word, and whether two are the same."""

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

from step_kto._arithmetic_truth import arithmetic_step_truth
from step_kto._judges import CallableJudge, StepJudge, StepLabels
from step_kto._judges_arithmetic import ArithmeticJudge
from step_kto._problems import Problem, expressions_of
from twllm_engines import portable_identity
from twllm_types import ConfigError, JsonObject

JudgeLanguageName: TypeAlias = Literal["en", "zh-TW"]
RewardHeadName: TypeAlias = Literal["token", "sequence", "causal"]

_FORMS = "arithmetic, arithmetic-truth, llm:SPEC, reward-model:DIR or none"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    r"""A step judge.

    Attributes:
        judge: "arithmetic" (every equation that a step states), "arithmetic-truth" (also whether the step follows; for
            problems with an expression), "llm:SPEC" (an engine, which sees the reference solution), "reward-model:DIR",
            "none" (all steps unknown, which leaves the outcome term alone).
        language: of the prompt of "llm".
        max_reasoning_tokens: of "llm": room for reasoning before the verdicts, >= 0.
        threshold: of "reward-model": least P(right) of a right step, in (0, 1). 0.5 is convention only.
        head: of "reward-model"; see `RewardFormat`, as the three below.
        prompt: of "reward-model".
        separator: of "reward-model".
        positive_class: of "reward-model".

    Raises:
        ConfigError: the word names no judge, or a value is out of its range.
    """

    judge: str = "arithmetic"
    language: JudgeLanguageName = "en"
    max_reasoning_tokens: int = 0
    threshold: float = 0.5
    head: RewardHeadName = "token"
    prompt: str = "{problem}\n"
    separator: str = "\n"
    positive_class: int = 1

    def __post_init__(self) -> None:
        kind, colon, rest = self.judge.partition(":")
        needs_rest = kind in ("llm", "reward-model")
        if kind not in ("arithmetic", "arithmetic-truth", "none", "llm", "reward-model") or needs_rest != bool(rest):
            raise ConfigError(f"judge is {self.judge!r}; give {_FORMS}")
        if colon and not needs_rest:
            raise ConfigError(f"judge is {self.judge!r}; {kind!r} takes nothing behind a colon")
        if self.max_reasoning_tokens < 0:
            raise ConfigError(f"max_reasoning_tokens is {self.max_reasoning_tokens}; give a number >= 0")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold is {self.threshold}; give a value in (0, 1)")

    @property
    def kind(self) -> str:
        """The word before the colon."""
        return self.judge.partition(":")[0]

    @property
    def target(self) -> str:
        """What stands behind the colon."""
        return self.judge.partition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenJudge:
    """A judge that is ready.

    Attributes:
        judge: None for "none".
        identity: what decides its labels, without machine paths; `same_judge` compares two.
        is_metered: it asks a server that is paid by the token.
    """

    judge: StepJudge | None
    identity: JsonObject
    is_metered: bool = False


@contextmanager
def open_judge(settings: JudgeSettings, problems: Sequence[Problem]) -> Generator[OpenJudge]:
    """Load a judge for the with-block.

    Args:
        settings: which.
        problems: whose solutions it will see.

    Raises:
        ConfigError: the judge does not fit the problems, or its model cannot be loaded.
        MissingDependencyError: its engine is not installed.
    """
    if settings.kind == "none":
        yield OpenJudge(judge=None, identity={"judge": "none"})
    elif settings.kind == "arithmetic":
        yield OpenJudge(judge=ArithmeticJudge(), identity={"judge": "arithmetic"})
    elif settings.kind == "arithmetic-truth":
        yield OpenJudge(judge=_truth_judge(problems), identity={"judge": "arithmetic-truth"})
    elif settings.kind == "reward-model":
        yield _reward_judge(settings)
    else:
        from step_kto._judges_llm import LlmStepJudge
        from twllm_engines import MeteredEngine, load_engine

        with load_engine(settings.target) as engine:
            identity = portable_identity(engine.identity)
            yield OpenJudge(
                judge=LlmStepJudge(
                    engine, language=settings.language, max_reasoning_tokens=settings.max_reasoning_tokens
                ),
                identity={
                    "judge": "llm",
                    "model": identity.spec,
                    "sha256": dict(identity.sha256),
                    "language": settings.language,
                    "max_reasoning_tokens": settings.max_reasoning_tokens,
                },
                is_metered=isinstance(engine, MeteredEngine),
            )


def same_judge(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two judges share their source of truth: the same rules, or the same model whatever its prompt."""
    if one["judge"] != other["judge"]:
        return False
    mine, theirs = _weights(one), _weights(other)
    if mine and theirs:
        return mine == theirs
    return one.get("model") == other.get("model")


def _weights(identity: Mapping[str, object]) -> object:
    return cast("Mapping[str, object]", identity.get("sha256", {})).get("weights")


def _truth_judge(problems: Sequence[Problem]) -> StepJudge:
    expressions = expressions_of(problems)

    def labels(problem: str, reference: str, steps: tuple[str, ...]) -> StepLabels:
        del reference
        return arithmetic_step_truth(expressions[problem], steps)

    return CallableJudge(labels)


def _reward_judge(settings: JudgeSettings) -> OpenJudge:
    from step_kto._judges_reward import RewardFormat, RewardModelJudge

    folder = Path(settings.target)
    text_format = RewardFormat(
        head=settings.head,
        prompt=settings.prompt,
        separator=settings.separator,
        positive_class=settings.positive_class,
    )
    judge = RewardModelJudge.load(settings.target, text_format=text_format, threshold=settings.threshold)
    return OpenJudge(
        judge=judge,
        identity={
            "judge": "reward-model",
            "model": folder.name if folder.is_dir() else settings.target,
            "sha256": {"weights": weights_sha256(folder)} if folder.is_dir() else {},
            "threshold": settings.threshold,
            "head": settings.head,
            "prompt": settings.prompt,
            "separator": settings.separator,
            "positive_class": settings.positive_class,
        },
    )


def weights_sha256(folder: Path) -> str:
    """Hash the safetensors of a model folder as twllm_engines does: one file by its content, several by their list.

    Raises:
        ConfigError: there are none.
    """
    from twllm_runs import hash_file

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"{folder}: holds no *.safetensors; give the folder of a model")
    digests = [hash_file(path) for path in files]
    if len(digests) == 1:
        return digests[0]
    listing = "".join(f"{digest}  {path.name}\n" for digest, path in zip(digests, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()
