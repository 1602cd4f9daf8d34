# transformers' models and tokenizers are untyped where they are called, so this wrapper is checked in standard mode.
# pyright: standard
"""A process reward model with a threshold as judge of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from step_kto._judges import JudgeFailure, StepItem, StepJudgement, StepLabels, failed
from twllm_types import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RewardHead: TypeAlias = Literal["token", "sequence", "causal"]

_PROBLEM = "{problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardFormat:
    r"""How a reward model wants its text, and where it gives its rewards.

    Qwen2.5-Math-PRM: `head="token"`, `separator="<extra_0>"`, and its chat template's text as `prompt`. Math-Shepherd:
    `head="causal"`, `separator=" ки"`, `positive_sign="+"`, `negative_sign="-"`. A model of TRL's old PRMTrainer:
    `head="token"`, `separator="\n"`.

    Attributes:
        head: "token": a class at the last token of each separator; "sequence": a class for the text so far, one pass
            for each step; "causal": two next-token probabilities at the separator.
        prompt: text before the steps; `{problem}` stands for the problem, other braces for themselves.
        separator: text after each step.
        positive_class: index of the class that means right; not used by "causal", nor where there is one class only,
            whose sigmoid is the reward.
        positive_sign: for "causal": one token.
        negative_sign: for "causal": one token.

    Raises:
        ConfigError: the prompt has no place for the problem, or the class is below 0.
    """

    head: RewardHead = "token"
    prompt: str = "{problem}\n"
    separator: str = "\n"
    positive_class: int = 1
    positive_sign: str = "+"
    negative_sign: str = "-"

    def __post_init__(self) -> None:
        if _PROBLEM not in self.prompt:
            raise ConfigError(f"prompt {self.prompt!r} holds no {_PROBLEM}; say where the problem stands")
        if self.positive_class < 0:
            raise ConfigError(f"positive_class is {self.positive_class}; give a class from 0")


class RewardModelJudge:
    """Labels a step right where the reward model's P(right) reaches a threshold.

    A threshold of 0.5 is convention only; `first_error_scorecard` on labelled data says what it is worth. Problem and
    steps are tokenised piece by piece, so that the rewards' places are exact. A solution that does not fit is
    judged unknown, never cut.

    Args:
        model: classification or causal language model, on its device, in evaluation mode.
        tokenizer: of the model.
        text_format: how it wants its text.
        threshold: least P(right) of a right step, in (0, 1).
        max_tokens: longest text; None for what the model's configuration allows.

    Raises:
        ConfigError: the threshold is out of range, the separator is empty, or a sign of the format is not one token.
    """

    def __init__(
        self,
        model: "PreTrainedModel",
        tokenizer: "PreTrainedTokenizerBase",
        *,
        text_format: RewardFormat | None = None,
        threshold: float = 0.5,
        max_tokens: int | None = None,
    ) -> None:
        if not 0 < threshold < 1:
            raise ConfigError(f"threshold is {threshold}; give a value in (0, 1)")
        self._model, self._tokenizer, self._threshold = model, tokenizer, threshold
        self._format = text_format if text_format is not None else RewardFormat()
        self._separator = self._ids(self._format.separator)
        if not self._separator:
            raise ConfigError(
                f"separator {self._format.separator!r} has no token; give the one the model was trained on"
            )
        self._classes = self._two_tokens() if self._format.head == "causal" else None
        self._max_tokens = (
            max_tokens if max_tokens is not None else getattr(model.config, "max_position_embeddings", None)
        )

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        text_format: RewardFormat | None = None,
        threshold: float = 0.5,
        max_tokens: int | None = None,
        trust_remote_code: bool = False,
    ) -> "RewardModelJudge":
        """Load model and tokenizer from a folder or hub id; weights from safetensors only.

        Args:
            path: folder or hub id.
            text_format: how it wants its text.
            threshold: least P(right) of a right step.
            max_tokens: longest text.
            trust_remote_code: run code of the model's repository; only if you have read it.
        """
        import transformers

        chosen = text_format if text_format is not None else RewardFormat()
        kinds: dict[RewardHead, Any] = {
            "token": transformers.AutoModelForTokenClassification,
            "sequence": transformers.AutoModelForSequenceClassification,
            "causal": transformers.AutoModelForCausalLM,
        }
        model = kinds[chosen.head].from_pretrained(path, use_safetensors=True, trust_remote_code=trust_remote_code)
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code)
        return cls(model.eval(), tokenizer, text_format=chosen, threshold=threshold, max_tokens=max_tokens)

    def rewards(self, problem: str, steps: Sequence[str]) -> tuple[float, ...] | None:
        """Return P(right) of each step, in [0, 1]; None where the text does not fit.

        Raises:
            ConfigError: the model has no class of the format's number.
        """
        import torch

        ids = self._ids(self._format.prompt.replace(_PROBLEM, problem))
        ends: list[int] = []
        for step in steps:
            ids += self._ids(step.strip()) + self._separator
            ends.append(len(ids) - 1)
        if self._max_tokens is not None and len(ids) > self._max_tokens:
            return None
        tokens = torch.tensor([ids], device=self._model.device)
        with torch.no_grad():
            if self._format.head == "sequence":
                rows = torch.cat([self._logits(tokens[:, : end + 1]) for end in ends])
            else:
                rows = self._logits(tokens)[0, ends]
        return tuple(self._probabilities(rows.float()).tolist())

    def judge(self, problem: str, reference: str, steps: Sequence[str]) -> StepLabels:
        """Label the steps; the reference is not read. All None where the text does not fit."""
        return self.judge_many([StepItem(problem=problem, reference=reference, steps=tuple(steps))])[0].labels

    def judge_many(self, items: Sequence[StepItem]) -> list[StepJudgement]:
        """Judge solutions, in order, one pass each."""
        return [self._judge(item) for item in items]

    def _judge(self, item: StepItem) -> StepJudgement:
        rewards = self.rewards(item.problem, item.steps)
        if rewards is None:
            return failed(item, JudgeFailure.TOO_LONG, f"the text has more than {self._max_tokens} tokens")
        if not all(isfinite(reward) for reward in rewards):
            return failed(item, JudgeFailure.NOT_FINITE, f"rewards {rewards} are no probabilities; load it in float32")
        return StepJudgement(labels=tuple(reward >= self._threshold for reward in rewards))

    def _logits(self, tokens: Any) -> Any:
        # a cache is of no use here, and old reward-model code breaks with the caches of new transformers
        return self._model(input_ids=tokens, use_cache=False).logits

    def _probabilities(self, rows: Any) -> Any:
        if self._classes is not None:
            return rows[:, self._classes].softmax(-1)[:, 0]
        if rows.shape[-1] == 1:
            return rows[:, 0].sigmoid()
        if self._format.positive_class >= rows.shape[-1]:
            raise ConfigError(
                f"positive_class is {self._format.positive_class}, and the model has {rows.shape[-1]} classes; "
                "give the one that means right"
            )
        return rows.softmax(-1)[:, self._format.positive_class]

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def _two_tokens(self) -> list[int]:
        found: list[int] = []
        for token in (self._format.positive_sign, self._format.negative_sign):
            ids = self._ids(token)
            if len(ids) != 1:
                raise ConfigError(
                    f"token {token!r} is {len(ids)} tokens of this tokenizer; give one that is a single one"
                )
            found += ids
        return found
