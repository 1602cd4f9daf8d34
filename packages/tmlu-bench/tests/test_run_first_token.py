"""Choices read off the first token: letters, failures, and answers that are none."""

import sys
from collections.abc import Iterator
from math import inf, log
from pathlib import Path

import pytest

from tmlu_bench._outcomes import Outcome
from tmlu_bench._protocols import PromptForm
from tmlu_bench._run import ExamRun, run_exam
from tmlu_bench._run_ask import letter_logprobs
from tmlu_bench._run_plan import ExamSettings
from twllm_runs import open_progress
from twllm_types import Completion, FinishReason, TokenLogprob

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import FakeEngine, make_set

QUESTIONS = make_set({"AST_civics": 12, "CAP_biology": 8})
TOKEN = TokenLogprob(token="A", logprob=-0.1, top={"A": -0.1, "B": -3.0})


def run(output: Path, engine: FakeEngine, settings: ExamSettings | None = None) -> ExamRun:
    with open_progress(quiet=True) as progress:
        return run_exam(engine, QUESTIONS, settings or ExamSettings(), output=output, progress=progress)


def is_fifth(text: str) -> bool:
    return text.rfind("問題：第5題") > max(text.rfind("問題：第4題"), text.rfind("問題：第100"))


def empty(finish: FinishReason, *, reasoning: str | None = None, token: str | None = None) -> Completion:
    tokens = () if token is None else (TokenLogprob(token=token, logprob=-0.1, top={token: -0.1}),)
    return Completion(
        texts=("",),
        finish_reasons=(finish,),
        logprobs=(tokens,),
        reasoning=None if reasoning is None else (reasoning,),
    )


class Scripted(FakeEngine):
    """Gives the first of its answers to the first request, and so on; the last one to all that are left."""

    def __init__(self, *answers: Completion) -> None:
        super().__init__(likelihood=False)
        self.answers = answers

    def stream(self, requests) -> Iterator[tuple[int, Completion]]:
        for at, request in enumerate(requests):
            self.asked.append(str(request.prompt))
            yield at, self.answers[min(at, len(self.answers) - 1)]


LETTER = Completion(texts=("A",), finish_reasons=(FinishReason.LENGTH,), logprobs=((TOKEN,),))
STOPPED = empty(FinishReason.STOP)


def test_run_by_first_token_that_the_server_ended_is_an_error(tmp_path: Path) -> None:
    class Filtered(FakeEngine):
        def stream(self, requests):
            for at, _ in enumerate(requests):
                yield at, Completion(texts=("",), finish_reasons=(FinishReason.CONTENT_FILTER,))

    counts = run(tmp_path / "run", Filtered(likelihood=False)).summary.overall.counts
    assert counts[Outcome.ERROR] == 20


def test_run_by_first_token_adds_forms_of_a_letter_and_keeps_the_mass(tmp_path: Path) -> None:
    engine = FakeEngine(likelihood=False)
    exam = run(tmp_path / "run", engine, ExamSettings(form=PromptForm.CHAT_API))
    for item in exam.items:
        assert set(item.logprobs or {}) == set("ABCD")
        assert item.captured_mass is not None
        assert 0 < item.captured_mass < 1
        assert item.model == "served"


def test_run_by_first_token_with_failures_keeps_them(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", FakeEngine(likelihood=False, fails=is_fifth))
    assert exam.summary.overall.counts[Outcome.ERROR] == 2


def test_letter_logprobs_add_the_forms_of_a_letter() -> None:
    token = TokenLogprob(
        token="A", logprob=log(0.25), top={"A": log(0.25), " A": log(0.125), "(B": log(0.5), "的": -9.0}
    )
    assert letter_logprobs(token, "ABCD") == {"A": pytest.approx(log(0.375)), "B": pytest.approx(log(0.5))}


def test_letter_logprobs_of_probability_zero_stay_so() -> None:
    assert letter_logprobs(TokenLogprob(token="A", logprob=-inf), "AB") == {"A": -inf}


@pytest.mark.parametrize(
    "answer",
    [
        empty(FinishReason.LENGTH),
        empty(FinishReason.LENGTH, reasoning="Hmm"),
        empty(FinishReason.STOP, reasoning="Hmm"),
        empty(FinishReason.LENGTH, token="<think>"),
    ],
)
def test_run_by_first_token_of_a_model_that_reasons_first_is_an_error(tmp_path: Path, answer: Completion) -> None:
    exam = run(tmp_path / "run", Scripted(LETTER, answer))
    assert (exam.summary.overall.counts[Outcome.ERROR], exam.summary.overall.micro) == (19, None)
    (failure,) = {item.failure for item in exam.items if item.failure is not None}
    assert failure.kind == "missing_logprobs"
    assert failure.message == "the model reasons first, so its first token is no answer; use --scoring generate"


def test_run_by_first_token_that_is_empty_and_never_has_log_probabilities_is_an_error(tmp_path: Path) -> None:
    exam = run(tmp_path / "run", Scripted(STOPPED))
    assert (exam.summary.overall.counts[Outcome.ERROR], exam.summary.overall.micro) == (20, None)
    assert exam.summary.overall.failures == {"missing_logprobs": 20}
    assert "use --scoring generate" in (exam.items[0].failure.message if exam.items[0].failure else "")


@pytest.mark.parametrize("answers", [(STOPPED, LETTER), (LETTER, STOPPED)])
def test_run_by_first_token_that_is_empty_beside_log_probabilities_is_unparsed(
    tmp_path: Path, answers: tuple[Completion, ...]
) -> None:
    counts = run(tmp_path / "run", Scripted(*answers)).summary.overall.counts
    assert counts[Outcome.UNPARSED] == (1 if answers[0] is STOPPED else 19)
    assert counts[Outcome.ERROR] == 0


def test_run_by_first_token_continued_judges_an_empty_one_by_the_answers_before(tmp_path: Path) -> None:
    class Stopping(Scripted):
        def stream(self, requests):
            yield from list(super().stream(requests))[:5]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", Stopping(LETTER))
    counts = run(tmp_path / "run", Scripted(STOPPED)).summary.overall.counts
    assert (counts[Outcome.UNPARSED], counts[Outcome.ERROR]) == (15, 0)


def test_run_by_first_token_with_texts_but_no_log_probabilities_is_an_error(tmp_path: Path) -> None:
    mute = Completion(texts=("A",), finish_reasons=(FinishReason.STOP,))
    assert run(tmp_path / "run", Scripted(mute)).summary.overall.failures == {"missing_logprobs": 20}
