"""Planned items put to an engine, answers turned into results; whatever goes wrong with one item is its outcome."""

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from math import exp, inf, log

from tmlu_bench._extract import extract_answer
from tmlu_bench._extraction import ExtractionStatus
from tmlu_bench._outcomes import ItemFailure, ItemResult, Outcome
from tmlu_bench._prompts import Prompt
from tmlu_bench._protocols import PromptForm, Scoring, get_protocol
from tmlu_bench._run_plan import ExamSettings, PlannedItem
from twllm_engines import Engine, chat_renderer, likelihood_scorer
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    FinishReason,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    SamplingParams,
    TokenLogprob,
)

_PROMPT_FAILURE = "prompt"
ITEMS_PER_CALL = 128
_MAX_TOP_LOGPROBS = 20
_LETTER_EDGES = " \t\n()（）.．:："
_THINK = "<think>"
_MISSING_LOGPROBS = "missing_logprobs"
_REASONS_FIRST = "the model reasons first, so its first token is no answer; use --scoring generate"
_NO_LOGPROBS = (
    "the answer is empty, and no answer of this run has log-probabilities: the server gives none, or the model reasons "
    "first; use --scoring generate"
)
# Ends that are not the model's own: what came before them is no answer to mark.
_NO_ANSWER = {
    FinishReason.CONTENT_FILTER: "the server's content filter ended the answer; use a server without it",
    FinishReason.TOOL_CALL: "the model called a tool instead of answering; offer it none",
}


class AskMethod(StrEnum):
    """How an engine is asked."""

    LIKELIHOOD = "likelihood"
    """log p(letter | prompt) for each letter."""
    FIRST_TOKEN = "first_token"  # noqa: S105
    """The alternatives that the engine reports for the first generated token."""
    GENERATE = "generate"
    """The generated text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentPrompt:
    """A prompt as it goes to the engine, and the continuations to score after raw text."""

    content: str | Conversation
    continuations: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Hash of the text, or of the conversation as JSON."""
        if isinstance(self.content, str):
            text = self.content
        else:
            turns = [[message.role.value, message.content] for message in self.content.messages]
            text = json.dumps(turns, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def choose_method(engine: Engine, settings: ExamSettings) -> AskMethod:
    """Say how this engine gives what the settings ask for.

    Raises:
        ConfigError: it cannot; nothing has been asked.
    """
    able = engine.capabilities
    _check_form(engine, settings.form)
    if settings.scoring is Scoring.GENERATE:
        return AskMethod.GENERATE
    if able.likelihood and settings.form is not PromptForm.CHAT_API:
        return AskMethod.LIKELIHOOD
    if able.max_top_logprobs:
        return AskMethod.FIRST_TOKEN
    raise ConfigError(
        f"engine {engine.identity.spec} gives no log-probabilities; use --scoring generate, or another engine"
    )


def _check_form(engine: Engine, form: PromptForm) -> None:
    able, spec = engine.capabilities, engine.identity.spec
    if form is PromptForm.CHAT:
        if not able.renders_chat:
            served = "use --form chat-api, where the server renders it, or --form raw"
            local = "set chat_template to a Jinja file in a YAML engine file, or use --form raw"
            raise ConfigError(f"engine {spec} has no chat template for --form chat; {served if able.chat else local}")
        chat_renderer(engine)
    elif form is PromptForm.CHAT_API and not able.chat:
        raise ConfigError(f"engine {spec} answers no conversations; use --form raw")
    elif form is PromptForm.RAW and not able.raw_prompts and not able.likelihood:
        raise ConfigError(f"engine {spec} continues no raw text; use --form chat-api")


def ask(
    engine: Engine,
    items: Sequence[PlannedItem],
    settings: ExamSettings,
    *,
    items_per_call: int = ITEMS_PER_CALL,
    has_logprobs: bool = False,
) -> Iterator[ItemResult]:
    """Yield the result of each item as it comes, each once, in any order.

    An empty first token is an answer that cannot be read (`unparsed`) only where the engine gives log-probabilities at
    all, which another answer shows; so such items come last. Else it is an error.

    Args:
        engine: what answers.
        items: to put; those without prompt give an error each.
        settings: of the exam.
        items_per_call: most items whose likelihoods are asked for at once; what a kill can lose.
        has_logprobs: an earlier answer of the run had log-probabilities.

    Raises:
        ConfigError: the engine cannot do what is asked; nothing has been asked then.
        EngineError: the engine as a whole fails.
    """
    method = choose_method(engine, settings)
    for item in items:
        if item.prompt is None:
            yield _failed(item, None, _PROMPT_FAILURE, item.problem or "no prompt")
    ready = [(item, _sent(engine, item.prompt, settings)) for item in items if item.prompt is not None]
    if method is AskMethod.LIKELIHOOD:
        yield from _by_likelihood(engine, ready, items_per_call)
    else:
        params = _params(engine, method, settings)
        requests = [GenerationRequest(prompt=sent.content, params=params) for _, sent in ready]
        answers = engine.stream(requests) if requests else iter(())
        if method is AskMethod.GENERATE:
            for at, answer in answers:
                yield _from_completion(*ready[at], answer, partial(_from_text, settings=settings))
        else:
            yield from _by_first_token(ready, answers, has_logprobs=has_logprobs)


def _sent(engine: Engine, prompt: Prompt, settings: ExamSettings) -> SentPrompt:
    match settings.form:
        case PromptForm.RAW:
            return SentPrompt(content=prompt.raw, continuations=prompt.continuations)
        case PromptForm.CHAT:
            rendered = chat_renderer(engine).render_chat(prompt.chat) + prompt.prefill
            return SentPrompt(content=rendered, continuations=prompt.chat_continuations)
        case PromptForm.CHAT_API:
            return SentPrompt(content=prompt.chat_api, continuations=prompt.chat_continuations)


def _params(engine: Engine, method: AskMethod, settings: ExamSettings) -> SamplingParams:
    protocol = get_protocol(settings.protocol)
    if method is AskMethod.FIRST_TOKEN:
        most = min(engine.capabilities.max_top_logprobs or 0, _MAX_TOP_LOGPROBS)
        return SamplingParams(max_tokens=1, temperature=0.0, top_logprobs=most, seed=settings.seed)
    return SamplingParams(
        max_tokens=settings.max_tokens or protocol.max_tokens, temperature=0.0, stop=protocol.stop, seed=settings.seed
    )


def _by_likelihood(
    engine: Engine, ready: Sequence[tuple[PlannedItem, SentPrompt]], items_per_call: int
) -> Iterator[ItemResult]:
    scorer = likelihood_scorer(engine)
    for start in range(0, len(ready), items_per_call):
        batch = ready[start : start + items_per_call]
        requests = [
            LikelihoodRequest(context=_text(sent), continuation=continuation)
            for _, sent in batch
            for continuation in sent.continuations
        ]
        answers = iter(scorer.loglikelihood(requests))
        for item, sent in batch:
            yield _from_likelihoods(item, sent, [next(answers) for _ in sent.continuations])


def _by_first_token(
    ready: Sequence[tuple[PlannedItem, SentPrompt]],
    answers: Iterable[tuple[int, Completion | EngineFailure]],
    *,
    has_logprobs: bool,
) -> Iterator[ItemResult]:
    empty: list[tuple[int, Completion]] = []
    for at, answer in answers:
        if isinstance(answer, Completion) and _is_immediate_stop(answer):
            empty.append((at, answer))
            continue
        result = _from_completion(*ready[at], answer, _from_first_token)
        has_logprobs = has_logprobs or bool(result.logprobs)
        yield result
    for at, answer in empty:
        item, sent = ready[at]
        if has_logprobs:
            yield _from_scores(item, sent, {}, answer)
        else:
            yield _failed(item, sent, _MISSING_LOGPROBS, _NO_LOGPROBS, answer)


def _is_immediate_stop(answer: Completion) -> bool:
    """The model ended at once, and says neither in words nor in log-probabilities what it would have written."""
    silent = not answer.text and not _first_tokens(answer) and not _reasons(answer)
    return silent and answer.finish_reason is FinishReason.STOP


def _first_tokens(answer: Completion) -> tuple[TokenLogprob, ...]:
    return answer.logprobs[0] if answer.logprobs else ()


def _reasons(answer: Completion) -> bool:
    """The one token that was asked for went into reasoning."""
    tokens = _first_tokens(answer)
    spent = not answer.text and not tokens and answer.finish_reason is FinishReason.LENGTH
    return any(answer.reasoning or ()) or spent or (bool(tokens) and tokens[0].token.strip() == _THINK)


def _text(sent: SentPrompt) -> str:
    if not isinstance(sent.content, str):
        raise ConfigError("likelihood scoring needs raw text; use --form raw or chat")
    return sent.content


def _from_likelihoods(item: PlannedItem, sent: SentPrompt, answers: Sequence[Likelihood | EngineFailure]) -> ItemResult:
    scores: dict[str, float] = {}
    for letter, answer in zip(item.permuted.question.letters, answers, strict=True):
        if isinstance(answer, EngineFailure):
            return _failed(item, sent, answer.kind.value, answer.message)
        scores[letter] = answer.logprob
    return _from_scores(item, sent, scores)


def _from_completion(
    item: PlannedItem,
    sent: SentPrompt,
    answer: Completion | EngineFailure,
    read: Callable[[PlannedItem, SentPrompt, Completion], ItemResult],
) -> ItemResult:
    if isinstance(answer, EngineFailure):
        return _failed(item, sent, answer.kind.value, answer.message)
    ended = answer.finish_reason
    if ended in _NO_ANSWER:
        return _failed(item, sent, ended.value, _NO_ANSWER[ended], answer)
    if ended is FinishReason.REFUSAL:
        # The server says that this is no answer, whatever letters it names.
        refused = ExtractionStatus.REFUSED.value
        return _result(item, sent, None, Outcome.UNPARSED, response=answer.text, extraction=refused, answer=answer)
    return read(item, sent, answer)


def _from_first_token(item: PlannedItem, sent: SentPrompt, answer: Completion) -> ItemResult:
    if _reasons(answer):
        return _failed(item, sent, _MISSING_LOGPROBS, _REASONS_FIRST, answer)
    tokens = _first_tokens(answer)
    if not tokens:
        message = "the engine gave a text without log-probabilities; use --scoring generate, or another engine"
        return _failed(item, sent, _MISSING_LOGPROBS, message, answer)
    return _from_scores(item, sent, letter_logprobs(tokens[0], item.permuted.question.letters), answer)


def letter_logprobs(token: TokenLogprob, letters: str) -> dict[str, float]:
    """Log-probability of each letter among the alternatives of one position.

    Tokens that differ by spaces, brackets, full stops or width only (`A`, ` A`, `(A`, `Ａ`) are one letter; their
    probabilities add. A letter that no token shows is absent.

    Args:
        token: the position, with its alternatives.
        letters: of the options, "ABCD".
    """
    alternatives = {**token.top, token.token: token.logprob}
    sums: dict[str, float] = {}
    for text, logprob in alternatives.items():
        letter = unicodedata.normalize("NFKC", text).strip(_LETTER_EDGES)
        if len(letter) == 1 and letter in letters:
            sums[letter] = sums.get(letter, 0.0) + exp(logprob)
    return {letter: min(0.0, log(total)) if total > 0 else -inf for letter, total in sums.items()}


def _from_scores(
    item: PlannedItem, sent: SentPrompt, shown: dict[str, float], answer: Completion | None = None
) -> ItemResult:
    """`shown` holds shown letters; the first of equals is chosen, as the peers do."""
    best = max(shown.values(), default=-inf)
    letter = None if best == -inf else next(x for x in item.permuted.question.letters if shown.get(x) == best)
    return _result(
        item,
        sent,
        letter,
        Outcome.UNPARSED,
        logprobs={item.permuted.original_letter(x): value for x, value in shown.items()},
        captured_mass=min(1.0, sum(exp(value) for value in shown.values())),
        response=None if answer is None else answer.text,
        answer=answer,
    )


def _from_text(item: PlannedItem, sent: SentPrompt, answer: Completion, settings: ExamSettings) -> ItemResult:
    reader = settings.reader
    if reader is None:
        raise ConfigError(f"protocol {settings.protocol} has no reader {settings.extractor!r}; use --extractor robust")
    question = item.permuted.question
    extraction = extract_answer(answer.text, question.letters, reader, options=question.options)
    cut = answer.finish_reason is FinishReason.LENGTH
    return _result(
        item,
        sent,
        extraction.letter,
        Outcome.TRUNCATED if cut else Outcome.UNPARSED,
        response=answer.text,
        extraction=extraction.status.value,
        answer=answer,
    )


def _result(
    item: PlannedItem,
    sent: SentPrompt,
    letter: str | None,
    undecided: Outcome,
    *,
    logprobs: dict[str, float] | None = None,
    captured_mass: float | None = None,
    response: str | None = None,
    extraction: str | None = None,
    answer: Completion | None = None,
) -> ItemResult:
    permuted = item.permuted
    gold = permuted.original_letter(permuted.question.answer)
    choice = None if letter is None else permuted.original_letter(letter)
    decided = Outcome.CORRECT if choice == gold else Outcome.WRONG
    return ItemResult(
        subject=permuted.question.subject,
        question_id=permuted.question.id,
        variant=item.variant,
        order=permuted.order,
        gold=gold,
        choice=choice,
        outcome=undecided if choice is None else decided,
        logprobs=logprobs,
        captured_mass=captured_mass,
        response=response,
        extraction=extraction,
        finish_reason=None if answer is None else answer.finish_reason.value,
        prompt_sha256=sent.sha256,
        num_prompt_tokens=_num_prompt_tokens(answer),
        num_shots=item.num_shots,
        model=None if answer is None else answer.model,
    )


def _failed(
    item: PlannedItem, sent: SentPrompt | None, kind: str, message: str, answer: Completion | None = None
) -> ItemResult:
    permuted = item.permuted
    return ItemResult(
        subject=permuted.question.subject,
        question_id=permuted.question.id,
        variant=item.variant,
        order=permuted.order,
        gold=permuted.original_letter(permuted.question.answer),
        choice=None,
        outcome=Outcome.ERROR,
        response=None if answer is None else answer.text,
        finish_reason=None if answer is None else answer.finish_reason.value,
        failure=ItemFailure(kind=kind, message=message),
        prompt_sha256=None if sent is None else sent.sha256,
        num_prompt_tokens=_num_prompt_tokens(answer),
        num_shots=item.num_shots,
        model=None if answer is None else answer.model,
    )


def _num_prompt_tokens(answer: Completion | None) -> int | None:
    return None if answer is None or answer.usage is None else answer.usage.num_prompt_tokens
