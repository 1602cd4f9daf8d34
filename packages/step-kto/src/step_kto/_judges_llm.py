"""A language model as judge of steps, which sees the reference solution."""

from collections.abc import Sequence

from step_kto._judges import JudgeFailure, StepItem, StepJudgement, StepLabels, failed
from step_kto._judges_prompt import JudgeLanguage, judge_conversation, read_verdicts, verdict_schema
from twllm_engines import Engine
from twllm_types import Completion, EngineFailure, FinishReason, GenerationRequest, SamplingParams

_TOKENS_PER_STEP = 12
_TOKENS_AROUND = 64


class LlmStepJudge:
    """Asks an engine for one verdict per step, greedily.

    An answer that cannot be used gives None for every step of its solution, with the reason; it is never a label.

    Args:
        engine: answers conversations. Where it can hold a text to a JSON Schema, it is asked to.
        language: of the prompt.
        max_reasoning_tokens: room for a model that reasons before it answers, on top of what the verdicts need.
    """

    def __init__(self, engine: Engine, *, language: JudgeLanguage = "en", max_reasoning_tokens: int = 0) -> None:
        self._engine = engine
        self._language: JudgeLanguage = language
        self._max_reasoning_tokens = max_reasoning_tokens

    def judge(self, problem: str, reference: str, steps: Sequence[str]) -> StepLabels:
        """Label the steps of one solution; all None where the answer cannot be used."""
        item = StepItem(problem=problem, reference=reference, steps=tuple(steps))
        return self.judge_many([item])[0].labels

    def judge_many(self, items: Sequence[StepItem]) -> list[StepJudgement]:
        """Judge solutions, in order; `count_failures` says how many gave nothing, and why.

        Raises:
            ConfigError: the engine answers no conversations.
            EngineError: the engine cannot serve at all.
        """
        answers = self._engine.generate([self._request(item) for item in items])
        return [_read(item, answer) for item, answer in zip(items, answers, strict=True)]

    def _request(self, item: StepItem) -> GenerationRequest:
        num_steps = len(item.steps)
        schema = verdict_schema(num_steps) if self._engine.capabilities.json_schema else None
        return GenerationRequest(
            prompt=judge_conversation(item.problem, item.reference, item.steps, language=self._language),
            params=SamplingParams(
                max_tokens=_TOKENS_AROUND + _TOKENS_PER_STEP * num_steps + self._max_reasoning_tokens,
                json_schema=schema,
            ),
        )


def _read(item: StepItem, answer: Completion | EngineFailure) -> StepJudgement:
    if isinstance(answer, EngineFailure):
        return failed(item, JudgeFailure.ENGINE, f"{answer.kind}: {answer.message}")
    if answer.finish_reason is FinishReason.REFUSAL:
        return failed(item, JudgeFailure.REFUSED, "the server marks the answer as a refusal")
    is_cut_off = answer.finish_reason is FinishReason.LENGTH
    labels = read_verdicts(answer.text, len(item.steps), is_cut_off=is_cut_off)
    if isinstance(labels, tuple):
        return StepJudgement(labels=labels)
    if answer.finish_reason is FinishReason.CONTENT_FILTER:
        return failed(item, JudgeFailure.REFUSED, "a filter stopped the answer")
    if is_cut_off:
        return failed(item, JudgeFailure.TRUNCATED, "the answer was cut off; raise max_reasoning_tokens")
    return failed(item, labels, f"the judge answered {answer.text[:80]!r}")
