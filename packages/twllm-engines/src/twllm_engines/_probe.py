"""What a server really does, asked by a few small requests."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from twllm_engines._openai import OpenAIEngine
from twllm_engines._settings_openai import OpenAISettings, SchemaStyle
from twllm_types import (
    Completion,
    Conversation,
    EngineError,
    EngineFailure,
    FinishReason,
    GenerationRequest,
    LikelihoodRequest,
    Message,
    Role,
    SamplingParams,
)

# Invented, short, and answered with several characters by any chat model.
_QUESTION = "請從一數到九，每個數字之間空一格。"
_RAW_TEXT = "一 二 三 四 五"
_LETTERS = ("A", "B")
_SCHEMA = {
    "type": "object",
    "properties": {"letter": {"type": "string", "enum": list(_LETTERS)}},
    "required": ["letter"],
    "additionalProperties": False,
}
_TOPS = (20, 10, 5, 2, 1)
_NUM_TOKENS = 64
_NUM_REASONING_TOKENS = 512
_SEED = 20_260_131

MakeEngine = Callable[[OpenAISettings], OpenAIEngine]


class Verdict(StrEnum):
    """What a check found."""

    YES = "yes"
    NO = "no"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        name: of the ability.
        verdict: whether the server has it.
        detail: what was seen.
        setting: what the spec should say instead, "key: value"; None where it fits.
    """

    name: str
    verdict: Verdict
    detail: str
    setting: str | None = None


def probe(settings: OpenAISettings, *, make: MakeEngine = OpenAIEngine) -> list[Finding]:
    """Ask a server what it can; nothing is cached, failed attempts are tried once more.

    Args:
        settings: of the server; abilities that they state are compared with what is found.
        make: makes the engine of settings.

    Raises:
        EngineError: the server does not answer a plain question, so nothing can be found out.
    """
    asker = _Asker(replace(settings, cache=None, max_attempts=min(2, settings.max_attempts)), make)
    first = asker.chat(max_tokens=_NUM_REASONING_TOKENS)
    if isinstance(first, EngineFailure):
        raise EngineError(f"the server gives no answer ({first.kind}: {first.message}); check address, key and model")
    return [
        Finding(name="model", verdict=Verdict.YES, detail=first.model or "not named"),
        _usage(first),
        _reasoning(first),
        _raw_prompts(asker, settings),
        _token_limit(asker, settings),
        _logprobs(asker, settings),
        _samples(asker),
        _seed(asker),
        _stop(asker, first),
        _schema(asker, settings),
        _echo(asker, settings),
    ]


class _Asker:
    """Asks one request of a server whose settings may differ from one request to the next."""

    def __init__(self, settings: OpenAISettings, make: MakeEngine) -> None:
        self.settings = settings
        self._make = make

    def chat(self, *, settings: OpenAISettings | None = None, **params: object) -> Completion | EngineFailure:
        conversation = Conversation(messages=(Message(role=Role.USER, content=_QUESTION),))
        return self.ask(conversation, settings or self.settings, **params)

    def ask(self, prompt: str | Conversation, settings: OpenAISettings, **params: object) -> Completion | EngineFailure:
        values: dict[str, object] = {"max_tokens": _NUM_TOKENS, **params}
        # The names are those of SamplingParams; its own checks speak where they are not.
        sampling = SamplingParams(**values)  # pyright: ignore[reportArgumentType]
        with self._make(settings) as engine:
            return engine.generate([GenerationRequest(prompt=prompt, params=sampling)])[0]

    def can_score(self, settings: OpenAISettings) -> bool:
        with self._make(settings) as engine:
            request = LikelihoodRequest(context=_RAW_TEXT, continuation=" 六")
            return not isinstance(engine.loglikelihood([request])[0], EngineFailure)


def _usage(first: Completion) -> Finding:
    if first.usage is None:
        return Finding(name="token counts", verdict=Verdict.NO, detail="the ledger cannot count")
    return Finding(
        name="token counts",
        verdict=Verdict.YES,
        detail=f"{first.usage.num_prompt_tokens} read, {first.usage.num_completion_tokens} written",
    )


def _reasoning(first: Completion) -> Finding:
    if first.reasoning is None:
        return Finding(name="reasoning", verdict=Verdict.NO, detail="none in the answer to a plain question")
    return Finding(name="reasoning", verdict=Verdict.YES, detail=f"{len(first.reasoning[0])} characters, kept apart")


def _raw_prompts(asker: _Asker, settings: OpenAISettings) -> Finding:
    answer = asker.ask(_RAW_TEXT, replace(asker.settings, raw_prompts=True))
    works = isinstance(answer, Completion)
    return Finding(
        name="raw prompts",
        verdict=_verdict(works),
        detail="/completions continues text" if isinstance(answer, Completion) else _said(answer),
        setting=None if works == settings.raw_prompts else f"raw_prompts: {json.dumps(works)}",
    )


def _token_limit(asker: _Asker, settings: OpenAISettings) -> Finding:
    """Find which name of the limit the server heeds: one that it ignores lets the answer go on."""
    heeded = [
        name
        for name in ("max_tokens", "max_completion_tokens")
        if _is_cut(asker.chat(settings=replace(asker.settings, max_tokens_field=name), max_tokens=1))
    ]
    fits = settings.max_tokens_field in heeded
    return Finding(
        name="limit of tokens",
        verdict=_verdict(bool(heeded)),
        detail=f"heeds {' and '.join(heeded)}" if heeded else "heeds neither name",
        setting=None if fits or not heeded else f"max_tokens_field: {heeded[0]}",
    )


def _is_cut(answer: Completion | EngineFailure) -> bool:
    return isinstance(answer, Completion) and answer.finish_reason is FinishReason.LENGTH


def _logprobs(asker: _Asker, settings: OpenAISettings) -> Finding:
    most: int | None = None
    for wanted in _TOPS:
        answer = asker.chat(settings=replace(asker.settings, max_top_logprobs=wanted), top_logprobs=wanted)
        if isinstance(answer, Completion) and answer.logprobs is not None and answer.logprobs[0]:
            most = min(wanted, max(len(token.top) for token in answer.logprobs[0]))
            break
    fits = settings.max_top_logprobs == most
    return Finding(
        name="log-probabilities",
        verdict=_verdict(most is not None),
        detail="none in chat answers" if most is None else f"up to {most} alternatives",
        setting=None if fits else f"max_top_logprobs: {json.dumps(most)}",
    )


def _samples(asker: _Asker) -> Finding:
    answer = asker.chat(num_samples=2, temperature=1.0)
    works = isinstance(answer, Completion)
    detail = "n = 2 gives two" if isinstance(answer, Completion) else _said(answer)
    return Finding(name="several samples", verdict=_verdict(works), detail=detail)


def _seed(asker: _Asker) -> Finding:
    texts: list[str] = []
    for seed in (_SEED, _SEED, _SEED + 1, _SEED + 2):
        answer = asker.chat(seed=seed, temperature=1.0)
        if isinstance(answer, EngineFailure):
            return Finding(name="seed", verdict=Verdict.NO, detail=_said(answer))
        texts.append(answer.text)
    if texts[0] != texts[1]:
        return Finding(name="seed", verdict=Verdict.NO, detail="one seed gave two texts")
    if len(set(texts)) == 1:
        return Finding(name="seed", verdict=Verdict.UNCLEAR, detail="three seeds gave one text")
    return Finding(name="seed", verdict=Verdict.YES, detail="one seed gave one text twice, others another")


def _stop(asker: _Asker, first: Completion) -> Finding:
    text = first.text.strip()
    if not text:
        return Finding(name="stop strings", verdict=Verdict.UNCLEAR, detail="the answer is empty")
    stop = text[len(text) // 2]
    # The engine cuts texts itself; what counts is that the server stopped there, and so wrote fewer tokens.
    answer = asker.chat(stop=(stop,), max_tokens=_NUM_REASONING_TOKENS)
    if isinstance(answer, EngineFailure):
        return Finding(name="stop strings", verdict=Verdict.NO, detail=_said(answer))
    if answer.usage is None or first.usage is None or len(text) == 1:
        return Finding(name="stop strings", verdict=Verdict.UNCLEAR, detail="tokens are not counted")
    works = answer.usage.num_completion_tokens < first.usage.num_completion_tokens
    return Finding(
        name="stop strings",
        verdict=_verdict(works),
        detail="fewer tokens with a stop string" if works else "as many tokens with a stop string as without",
    )


def _schema(asker: _Asker, settings: OpenAISettings) -> Finding:
    styles = [style for style in SchemaStyle if style is not SchemaStyle.NONE]
    # The spec's own way first: it is kept where it works.
    styles.sort(key=lambda style: style is not settings.schema_style)
    for style in styles:
        answer = asker.chat(
            settings=replace(asker.settings, schema_style=style), json_schema=_SCHEMA, max_tokens=_NUM_REASONING_TOKENS
        )
        if isinstance(answer, Completion) and _fits_schema(answer.text):
            fits = style is settings.schema_style
            setting = None if fits else f"schema_style: {style}"
            return Finding(name="JSON Schema", verdict=Verdict.YES, detail=f"by {style}", setting=setting)
    fits = settings.schema_style is SchemaStyle.NONE
    return Finding(
        name="JSON Schema",
        verdict=Verdict.NO,
        detail="no way made the answer fit",
        setting=None if fits else "schema_style: none",
    )


def _fits_schema(text: str) -> bool:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return value in [{"letter": letter} for letter in _LETTERS]


def _echo(asker: _Asker, settings: OpenAISettings) -> Finding:
    for num_tokens in (0, 1):
        trial = replace(asker.settings, raw_prompts=True, likelihood="echo", echo_max_tokens=num_tokens)
        if asker.can_score(trial):
            # A spec need not use what a server can.
            fits = settings.likelihood == "off" or settings.echo_max_tokens == num_tokens
            setting = None if fits else f"echo_max_tokens: {num_tokens}"
            detail = f"echo with max_tokens {num_tokens} (likelihood: echo)"
            return Finding(name="likelihood", verdict=Verdict.YES, detail=detail, setting=setting)
    fits = settings.likelihood == "off"
    return Finding(
        name="likelihood",
        verdict=Verdict.NO,
        detail="no echo with log-probabilities",
        setting=None if fits else "likelihood: off",
    )


# One argument, whose meaning the name of the function says.
def _verdict(works: bool) -> Verdict:  # noqa: FBT001
    return Verdict.YES if works else Verdict.NO


def _said(failure: EngineFailure) -> str:
    return f"{failure.kind}: {failure.message}"
