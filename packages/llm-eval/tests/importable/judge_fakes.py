"""Items and models of our own for tests of judges: invented, deterministic, quick, and able to fail where told."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from math import log
from types import TracebackType
from typing import Self

from llm_eval._items import JudgeItem, Turn
from twllm_engines import EngineCapabilities
from twllm_types import (
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
    TokenLogprob,
    Usage,
)

TOPICS = ("夜市", "捷運", "颱風", "鳳梨", "登山", "圖書館", "早餐", "機車", "溫泉", "元宵")
REPLIES = {"good": "我也很期待，你想先去看哪一個？", "short": "嗯。"}


def make_item(number: int, system: str = "good", *, copy: int = 0) -> JudgeItem:
    """An invented response of a system to the context of this number."""
    topic = TOPICS[number % len(TOPICS)]
    return JudgeItem(
        id=f"{system}-{number}" + (f"-{copy}" if copy else ""),
        context=(
            Turn(speaker="user", text=f"第{number}件事：聊聊{topic}好嗎？"),
            Turn(speaker="bot", text=f"好，{topic}很有意思。"),
            Turn(speaker="user", text="那你的看法呢？"),
        ),
        response=f"{topic}啊，{REPLIES.get(system, system)}" + ("！" * copy),
        references=(f"{topic}值得一試。",),
        system=system,
    )


def make_items(num_contexts: int = 10, systems: Sequence[str] = ("good", "short")) -> tuple[JudgeItem, ...]:
    """Invented responses of several systems to the same contexts."""
    return tuple(make_item(number, system) for number in range(num_contexts) for system in systems)


def share(*parts: str) -> float:
    """A number in (0, 1) that belongs to the texts."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return (int.from_bytes(digest[:6], "big") + 1) / (2**48 + 2)


def asked_dimensions(text: str) -> list[str]:
    """Names of the dimensions that a prompt asks for, in its order; of the paper's wording or of ours."""
    found = re.findall(r'"required": \[(.*?)\]', text)
    if found:
        return list(json.loads(f"[{found[-1]}]"))
    return re.findall(r'"([^"]+)": <', text)


def answer_by_hash(text: str, seed: int | None) -> str:
    """A whole answer: a score from 0 to 5 for each dimension, by the text; short replies score low."""
    low = "嗯。" in text
    scores = {name: int((2 if low else 6) * share(text, name, str(seed))) for name in asked_dimensions(text)}
    return json.dumps(scores)


class FakeJudge:
    """Answers by hash; `fails` says which texts give a failure, `answer` what is written."""

    def __init__(
        self,
        *,
        name: str = "fake",
        likelihood: bool = True,
        chat: bool = True,
        renders_chat: bool = True,
        raw_prompts: bool = True,
        json_schema: bool = True,
        max_top_logprobs: int | None = 20,
        fails: Callable[[str], bool] = lambda _text: False,
        answer: Callable[[str, int | None], str] = answer_by_hash,
        finish: FinishReason = FinishReason.STOP,
        settings: JsonObject | None = None,
        has_usage: bool = True,
    ) -> None:
        self.name = name
        self.asked: list[str] = []
        self.requests: list[GenerationRequest] = []
        self._fails = fails
        self._answer = answer
        self._finish = finish
        self._settings = settings or {"dtype": "float32"}
        self._has_usage = has_usage
        self._capabilities = EngineCapabilities(
            likelihood=likelihood,
            sequence_logprobs=False,
            chat=chat,
            raw_prompts=raw_prompts,
            json_schema=json_schema,
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

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        # Last first, since engines may answer in any order.
        for at in reversed(range(len(requests))):
            yield at, self._complete(requests[at])

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        return [self._complete(request) for request in requests]

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        return [self._likelihood(request) for request in requests]

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

    def _likelihood(self, request: LikelihoodRequest) -> Likelihood | EngineFailure:
        if self._fails(request.context):
            return EngineFailure(kind=FailureKind.CONTEXT_LENGTH, message="the prompt has 9,000 tokens of 4,096")
        digits = re.findall(r"\d+", request.continuation)[0]
        return Likelihood(logprob=log(share(self.name, request.context, digits) / 101), num_tokens=2)

    def _complete(self, request: GenerationRequest) -> Completion | EngineFailure:
        prompt, params = request.prompt, request.params
        text = prompt if isinstance(prompt, str) else self.render_chat(prompt)
        self.asked.append(text)
        self.requests.append(request)
        if self._fails(text):
            return EngineFailure(kind=FailureKind.CONTEXT_LENGTH, message="the prompt has 9,000 tokens of 4,096")
        seed = params.seed if params.temperature > 0 else None
        texts = tuple(
            self._answer(text, None if seed is None else seed + sample) for sample in range(params.num_samples)
        )
        usage = Usage(num_prompt_tokens=len(text), num_completion_tokens=sum(map(len, texts)))
        return Completion(
            texts=texts,
            finish_reasons=(self._finish,) * len(texts),
            logprobs=None if params.top_logprobs is None else tuple(map(self._tokens, texts)),
            usage=usage if self._has_usage else None,
            model=f"{self.name}-served",
        )

    def _tokens(self, text: str) -> tuple[TokenLogprob, ...]:
        """One token per character; a digit has all digits from 0 to 5 beside it, its own the likeliest."""
        tokens: list[TokenLogprob] = []
        for character in text:
            top = {character: log(0.5)}
            if character.isdigit():
                others = [digit for digit in "012345" if digit != character]
                top |= {digit: log(0.08) for digit in others}
            tokens.append(TokenLogprob(token=character, logprob=log(0.5), top=top))
        return tuple(tokens)
