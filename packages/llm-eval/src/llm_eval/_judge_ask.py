"""Planned judgements put to an engine, answers turned into scores; whatever goes wrong with one item is its failure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from llm_eval._expected import (
    PathQuestion,
    expected_from_likelihoods,
    expected_scores,
    is_told_apart_at_once,
    path_question,
)
from llm_eval._items import JudgeItem
from llm_eval._judge_plan import PlannedJudgement, as_conversation, content_sha256, failed_by_engine, may_try_again
from llm_eval._judge_settings import JudgeSettings, PromptForm
from llm_eval._judgements import (
    DimensionScore,
    Judgement,
    JudgementFailure,
    JudgementFailureKind,
    ParseFailure,
    ScoreMethod,
)
from llm_eval._parse import ParsedScores, argmax_scores, no_answer, parse_scores
from llm_eval._sampled import sampled_scores
from llm_eval._schema import answer_schema
from twllm_engines import Engine, chat_renderer, likelihood_scorer
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    SamplingParams,
)

_MAX_TOP_LOGPROBS = 20
# Answers whose paths are scored at once; what a kill can lose of them.
_PATHS_PER_CALL = 16

Scores = Mapping[str, DimensionScore]


class AskMethod(StrEnum):
    """How scores are read off an engine."""

    TEXT = "text"
    """Off the text that it writes."""
    TOP_LOGPROBS = "top_logprobs"
    """Off the alternatives to the tokens of each score."""
    PATHS = "paths"
    """Off the likelihood of every allowed score after what was written before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A judgement as it goes to the engine."""

    planned: PlannedJudgement
    content: str | Conversation

    @property
    def shown(self) -> tuple[str, ...]:
        """Texts that the prompt shows as data."""
        return shown_texts(self.planned.item)


def shown_texts(item: JudgeItem) -> tuple[str, ...]:
    """Return every text of an item that stands in its prompt."""
    response = () if item.response is None else (item.response,)
    spoken = (text for turn in item.context for text in (turn.speaker, turn.text) if text is not None)
    return (*spoken, *response, *item.references, *item.documents)


def check_form(engine: Engine, form: PromptForm, *, structured: bool) -> None:
    """Refuse a form, or a schema, that an engine cannot take.

    Raises:
        ConfigError: it cannot; nothing has been asked.
    """
    able, name = engine.capabilities, engine.identity.spec
    if structured and not able.json_schema:
        raise ConfigError(
            f"engine {name} cannot hold an answer to a JSON Schema; leave --structured out, or use another engine"
        )
    if form is PromptForm.CHAT_API:
        if not able.chat:
            raise ConfigError(f"engine {name} answers no conversations; use --form raw")
        return
    if form is PromptForm.CHAT and not able.renders_chat:
        raise ConfigError(f"engine {name} has no chat template to render by --form chat; use --form chat-api or raw")
    if not able.raw_prompts:
        raise ConfigError(f"engine {name} continues no raw text; use --form chat-api")


def check_engine(engine: Engine, settings: JudgeSettings) -> AskMethod:
    """Say how this engine gives what the settings ask for.

    Raises:
        ConfigError: it cannot; nothing has been asked.
    """
    check_form(engine, settings.form, structured=settings.structured)
    if settings.score_method is not ScoreMethod.EXPECTED:
        return AskMethod.TEXT
    able, name = engine.capabilities, engine.identity.spec
    if able.max_top_logprobs and is_told_apart_at_once(settings.scale):
        return AskMethod.TOP_LOGPROBS
    if able.likelihood and settings.form is not PromptForm.CHAT_API:
        return AskMethod.PATHS
    if is_told_apart_at_once(settings.scale):
        raise ConfigError(f"engine {name} gives no log-probabilities of its tokens; use score method argmax or sampled")
    raise ConfigError(
        f"engine {name} cannot score continuations, and some scores of this scale begin alike; "
        "use a scale such as 0-5-int, a local engine, or another score method"
    )


def ask(engine: Engine, planned: Sequence[PlannedJudgement], settings: JudgeSettings) -> Iterator[Judgement]:
    """Yield every attempt as it comes, in any order; a judgement's last one counts.

    Further attempts follow when all first ones have come.

    Raises:
        ConfigError: the engine cannot do what is asked; nothing has been asked then.
        EngineError: the engine as a whole fails.
    """
    method = check_engine(engine, settings)
    pending = list(planned)
    while pending:
        again: list[PlannedJudgement] = []
        for sent, judgement in _answers(engine, pending, settings, method):
            yield judgement
            if may_try_again(judgement, settings):
                drawn = 0 if failed_by_engine(judgement) else 1
                again.append(sent.again(attempt=sent.attempt + 1, draw=sent.draw + drawn))
        pending = again


def send(engine: Engine, prompt: str, form: PromptForm) -> str | Conversation:
    """Return a prompt in the form in which it goes to the engine."""
    match form:
        case PromptForm.RAW:
            return prompt
        case PromptForm.CHAT:
            return chat_renderer(engine).render_chat(as_conversation(prompt))
        case PromptForm.CHAT_API:
            return as_conversation(prompt)


def _answers(
    engine: Engine, planned: Sequence[PlannedJudgement], settings: JudgeSettings, method: AskMethod
) -> Iterator[tuple[PlannedJudgement, Judgement]]:
    sent = [_Sent(planned=one, content=send(engine, one.prompt, settings.form)) for one in planned]
    requests = [
        GenerationRequest(prompt=one.content, params=_params(engine, one.planned, settings, method)) for one in sent
    ]
    waiting: list[tuple[_Sent, Completion]] = []
    for at, answer in engine.stream(requests):
        if method is not AskMethod.PATHS or isinstance(answer, EngineFailure):
            yield sent[at].planned, _judgement(sent[at], answer, settings, method)
            continue
        waiting.append((sent[at], answer))
        if len(waiting) == _PATHS_PER_CALL:
            yield from _by_paths(engine, waiting, settings)
            waiting = []
    yield from _by_paths(engine, waiting, settings)


def _params(engine: Engine, planned: PlannedJudgement, settings: JudgeSettings, method: AskMethod) -> SamplingParams:
    schema = answer_schema(planned.dimensions, settings.scale, with_reason=settings.with_reason)
    most = min(engine.capabilities.max_top_logprobs or 0, _MAX_TOP_LOGPROBS)
    temperature = settings.first_temperature
    if planned.draw and settings.retry.temperature is not None:
        temperature = settings.retry.temperature
    return SamplingParams(
        max_tokens=settings.max_tokens,
        temperature=temperature,
        num_samples=settings.num_samples,
        # Every repeat and every further draw has a seed of its own, so no two of an item are the same request.
        seed=settings.seed + planned.repeat + settings.repeats * planned.draw,
        top_logprobs=most if method is AskMethod.TOP_LOGPROBS else None,
        json_schema=schema if settings.structured else None,
    )


def _judgement(
    sent: _Sent, answer: Completion | EngineFailure, settings: JudgeSettings, method: AskMethod
) -> Judgement:
    if isinstance(answer, EngineFailure):
        return _made(sent, engine_failure(answer), None)
    read = _parse_samples(sent, answer, settings)
    reason = next((one.reason for one in read if isinstance(one, ParsedScores)), None)
    if method is AskMethod.TOP_LOGPROBS:
        ended = no_answer(answer.finish_reason)
        return _made(sent, ended or _expected(sent, answer, settings), answer, reason)
    if settings.score_method is ScoreMethod.SAMPLED:
        return _made(sent, sampled_scores(read, settings.scale), answer, reason)
    first = read[0]
    return _made(sent, argmax_scores(first) if isinstance(first, ParsedScores) else first, answer, reason)


def _parse_samples(sent: _Sent, answer: Completion, settings: JudgeSettings) -> list[ParsedScores | ParseFailure]:
    return [
        parse_scores(text, sent.planned.dimensions, settings.scale, finish_reason=ended, shown=sent.shown)
        for text, ended in zip(answer.texts, answer.finish_reasons, strict=True)
    ]


def _expected(sent: _Sent, answer: Completion, settings: JudgeSettings) -> Scores | ParseFailure:
    tokens = answer.logprobs[0] if answer.logprobs else ()
    if not tokens and answer.text:
        return ParseFailure(
            kind=JudgementFailureKind.MISSING_LOGPROBS, message="the engine gave a text without log-probabilities"
        )
    return expected_scores(
        tokens,
        sent.planned.dimensions,
        settings.scale,
        text=answer.text,
        least_mass=settings.min_captured_mass,
        finish_reason=answer.finish_reason,
        shown=sent.shown,
    )


def _by_paths(
    engine: Engine, waiting: Sequence[tuple[_Sent, Completion]], settings: JudgeSettings
) -> Iterator[tuple[PlannedJudgement, Judgement]]:
    """Score every allowed value of every dimension after the very answer that was generated before it."""
    read = [_parse_samples(sent, answer, settings)[0] for sent, answer in waiting]
    asked = [
        _path_questions(answer.text, parsed, settings) if isinstance(parsed, ParsedScores) else {}
        for (_, answer), parsed in zip(waiting, read, strict=True)
    ]
    requests = [
        request
        for (sent, _), questions in zip(waiting, asked, strict=True)
        for question in questions.values()
        for request in _path_requests(sent, question)
    ]
    scores = iter(likelihood_scorer(engine).loglikelihood(requests) if requests else ())
    for (sent, answer), parsed, questions in zip(waiting, read, asked, strict=True):
        if isinstance(parsed, ParseFailure):
            yield sent.planned, _made(sent, parsed, answer)
            continue
        found = {
            name: [next(scores) for ways in question.spellings for _ in ways] for name, question in questions.items()
        }
        yield sent.planned, _made(sent, _from_paths(questions, found, settings), answer, parsed.reason)


def _path_questions(text: str, parsed: ParsedScores, settings: JudgeSettings) -> dict[str, PathQuestion]:
    return {name: path_question(text, value, settings.scale) for name, value in parsed.values.items()}


def _path_requests(sent: _Sent, question: PathQuestion) -> Iterator[LikelihoodRequest]:
    if not isinstance(sent.content, str):
        raise ConfigError("scoring continuations needs raw text; use --form raw or chat")
    for ways in question.spellings:
        for continuation in ways:
            yield LikelihoodRequest(context=sent.content + question.prefix, continuation=continuation)


def _from_paths(
    questions: Mapping[str, PathQuestion],
    found: Mapping[str, Sequence[Likelihood | EngineFailure]],
    settings: JudgeSettings,
) -> Scores | ParseFailure | JudgementFailure:
    failed = next((one for part in found.values() for one in part if isinstance(one, EngineFailure)), None)
    if failed is not None:
        return engine_failure(failed)
    scores: dict[str, DimensionScore] = {}
    for name, question in questions.items():
        logprobs = question.per_score([one.logprob for one in found[name] if isinstance(one, Likelihood)])
        score = expected_from_likelihoods(settings.scale, logprobs, least_mass=settings.min_captured_mass)
        if isinstance(score, ParseFailure):
            return ParseFailure(kind=score.kind, dimension=name, message=f"{name!r}: {score.message}")
        scores[name] = score
    return scores


def engine_failure(failure: EngineFailure) -> JudgementFailure:
    """Return what an engine's failure is to a judgement."""
    missing = failure.kind is FailureKind.MISSING_LOGPROBS
    return JudgementFailure(
        kind=JudgementFailureKind.MISSING_LOGPROBS if missing else JudgementFailureKind.ENGINE_ERROR,
        message=f"{failure.kind.value}: {failure.message}",
    )


def _made(
    sent: _Sent,
    found: Scores | ParseFailure | JudgementFailure,
    answer: Completion | None,
    reason: str | None = None,
) -> Judgement:
    item, failure = sent.planned.item, None
    if isinstance(found, ParseFailure | JudgementFailure):
        failure = JudgementFailure(kind=found.kind, message=found.message, dimension=found.dimension)
    return Judgement(
        item_id=item.id,
        system=item.system,
        cluster=item.cluster_key,
        repeat=sent.planned.repeat,
        scores=None if isinstance(found, ParseFailure | JudgementFailure) else found,
        failure=failure,
        responses=() if answer is None else answer.texts,
        reason=reason,
        model=None if answer is None else answer.model,
        prompt_sha256=content_sha256(sent.content),
        usage=None if answer is None else answer.usage,
        num_attempts=sent.planned.attempt,
        item_sha256=sent.planned.item_sha256,
    )
