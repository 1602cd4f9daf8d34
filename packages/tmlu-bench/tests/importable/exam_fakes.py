"""Questions and a model of our own for tests of the exam: deterministic, quick, and able to fail where told."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from math import log
from types import TracebackType
from typing import Self

from tmlu_bench._question_set import QuestionSet, SourceFormat, SubjectQuestions
from twllm_engines import EngineCapabilities
from twllm_types import (
    ChoiceQuestion,
    Completion,
    Conversation,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
    SequenceLogprobs,
    TokenLogprob,
    Usage,
)

STEMS = "山川草木風雲雨雪花鳥蟲魚日月星辰"


def make_question(subject: str, number: int, *, num_options: int = 4) -> ChoiceQuestion:
    """An invented question; the right option moves with the number."""
    return ChoiceQuestion(
        id=f"{subject}-{number}",
        subject=subject,
        question=f"第{number}題：下列何者與「{STEMS[number % len(STEMS)]}」同列？",
        options=tuple(f"第{number}題的選項{chr(0x7532 + at)}" for at in range(num_options)),
        answer="ABCDEFGHIJ"[number % num_options],
        explanation=f"第{number}題的理由",
    )


def make_set(sizes: dict[str, int], *, num_dev: int = 5, num_options: int = 4) -> QuestionSet:
    """A set of invented subjects."""
    return QuestionSet(
        name="invented",
        formats=(SourceFormat.TMLU,),
        subjects=tuple(
            SubjectQuestions(
                id=subject,
                name=f"{subject}科",
                test=tuple(make_question(subject, number, num_options=num_options) for number in range(size)),
                dev=tuple(make_question(subject, 1000 + number, num_options=num_options) for number in range(num_dev)),
            )
            for subject, size in sizes.items()
        ),
    )


def share(*parts: str) -> float:
    """A number in (0, 1) that belongs to the texts."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 1) / (2**48 + 2)


class FakeEngine:
    """Answers by hash; `fails` says which texts give a failure, `answer` what is generated."""

    def __init__(
        self,
        *,
        name: str = "fake",
        likelihood: bool = True,
        chat: bool = True,
        renders_chat: bool = True,
        raw_prompts: bool = True,
        max_top_logprobs: int | None = 20,
        fails: Callable[[str], bool] = lambda _text: False,
        answer: Callable[[str], str] | None = None,
        finish: FinishReason = FinishReason.STOP,
        settings: JsonObject | None = None,
    ) -> None:
        self.name = name
        self.asked: list[str] = []
        self._fails = fails
        self._answer = answer or (lambda text: f"答案是 ({'ABCD'[int(4 * share(name, text))]})")
        self._finish = finish
        self._settings = settings or {"dtype": "float32"}
        self._capabilities = EngineCapabilities(
            likelihood=likelihood,
            sequence_logprobs=True,
            chat=chat,
            raw_prompts=raw_prompts,
            json_schema=False,
            max_top_logprobs=max_top_logprobs,
            renders_chat=renders_chat,
        )

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(
            spec=f"fake:{self.name}", sha256={"weights": hashlib.sha256(self.name.encode()).hexdigest()}
        )

    @property
    def settings(self) -> JsonObject:
        return dict(self._settings)

    @property
    def capabilities(self) -> EngineCapabilities:
        return self._capabilities

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        return [self._likelihood(request) for request in requests]

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        # Last first, since engines may answer in any order.
        for at in reversed(range(len(requests))):
            yield at, self._complete(requests[at])

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        return [self._complete(request) for request in requests]

    def sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        return [self._sequence(text) for text in texts]

    def render_chat(self, conversation: Conversation) -> str:
        return "".join(f"<{turn.role}>{turn.content}</{turn.role}>" for turn in conversation.messages) + "<assistant>"

    def close(self) -> None:
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _failure(self, text: str) -> EngineFailure | None:
        self.asked.append(text)
        if self._fails(text):
            return EngineFailure(kind=FailureKind.CONTEXT_LENGTH, message="the prompt has 9,000 tokens of 4,096")
        return None

    def _likelihood(self, request: LikelihoodRequest) -> Likelihood | EngineFailure:
        failure = self._failure(request.context)
        value = log(share(self.name, request.context, request.continuation) / 4)
        return failure or Likelihood(logprob=value, num_tokens=1)

    def _complete(self, request: GenerationRequest) -> Completion | EngineFailure:
        prompt = request.prompt
        text = prompt if isinstance(prompt, str) else self.render_chat(prompt)
        failure = self._failure(text)
        if failure is not None:
            return failure
        usage = Usage(num_prompt_tokens=len(text), num_completion_tokens=1)
        if request.params.top_logprobs is None:
            return Completion(
                texts=(self._answer(text),), finish_reasons=(self._finish,), usage=usage, model=f"{self.name}-served"
            )
        top = {letter: log(share(self.name, text, letter) / 5) for letter in ("A", " B", "(C", "Ｄ", "的")}
        best = max(top, key=lambda token: top[token])
        token = TokenLogprob(token=best, logprob=top[best], top=top)
        return Completion(
            texts=(best,), finish_reasons=(FinishReason.LENGTH,), logprobs=((token,),), usage=usage, model="served"
        )

    def _sequence(self, text: str) -> SequenceLogprobs | EngineFailure:
        failure = self._failure(text)
        if failure is not None:
            return failure
        logprobs = tuple(log(share(self.name, text[:end])) for end in range(1, len(text)))
        return SequenceLogprobs(
            tokens=tuple(text[1:]),
            logprobs=logprobs,
            expected_logprobs=(-1.0,) * len(logprobs),
            logprob_stds=(1.0,) * len(logprobs),
        )
