"""Answers that a server marks as refusals: no answer, whatever letters they name."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tmlu_bench._extraction import ExtractionStatus
from tmlu_bench._outcomes import Outcome
from tmlu_bench._protocols import PromptForm, Scoring
from tmlu_bench._run_ask import ask
from tmlu_bench._run_plan import ExamSettings, plan_exam
from twllm_types import Completion, EngineFailure, FinishReason, GenerationRequest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import FakeEngine, make_set

QUESTIONS = make_set({"AST_civics": 3})


class Refusing(FakeEngine):
    """Marks every answer as a refusal."""

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        for at, answer in super().stream(requests):
            assert isinstance(answer, Completion)
            yield at, replace(answer, finish_reasons=(FinishReason.REFUSAL,))


@pytest.mark.parametrize("answer", ["", "I can't help with option B", "答案是 (B)"])
@pytest.mark.parametrize("scoring", [Scoring.GENERATE, Scoring.LOGPROB])
def test_answer_that_the_server_marks_as_a_refusal_is_unparsed_and_refused(scoring: Scoring, answer: str) -> None:
    settings = ExamSettings(scoring=scoring, form=PromptForm.CHAT_API, num_shots=0)
    engine = Refusing(answer=lambda _text: answer, likelihood=False)
    items = list(ask(engine, plan_exam(QUESTIONS, settings).items, settings))
    assert len(items) == 3
    for item in items:
        assert (item.outcome, item.choice, item.failure) == (Outcome.UNPARSED, None, None)
        assert (item.extraction, item.finish_reason) == (ExtractionStatus.REFUSED.value, "refusal")
        assert (item.logprobs, item.captured_mass) == (None, None)
        assert item.response is not None
