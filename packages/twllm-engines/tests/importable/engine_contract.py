"""What every engine promises, as functions over an engine.

A test module makes its engine and calls `check(engine)` for each of `CONTRACT`; what an engine cannot do by its own
`capabilities` is left out. Greedy answers must be reproducible and several characters long.
"""

import json
from collections.abc import Callable

import pytest

from twllm_engines import Engine, chat_renderer, likelihood_scorer, sequence_scorer
from twllm_types import (
    Completion,
    ConfigError,
    Conversation,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    Message,
    ModelIdentity,
    Role,
    SamplingParams,
    SequenceLogprobs,
)

PROMPTS = ("臺灣最高的山是", "Count: one two three", "一二三四五六", "The quick brown fox jumps")
GREEDY = SamplingParams(max_tokens=12)


def requests(params: SamplingParams = GREEDY) -> list[GenerationRequest]:
    """Requests for raw text, one per prompt."""
    return [GenerationRequest(prompt=prompt, params=params) for prompt in PROMPTS]


def texts(engine: Engine, params: SamplingParams = GREEDY) -> list[str]:
    """First samples of the answers to all prompts."""
    answers = engine.generate(requests(params))
    assert all(isinstance(answer, Completion) for answer in answers), answers
    return [answer.text for answer in answers if isinstance(answer, Completion)]


def check_no_requests_give_no_answers(engine: Engine) -> None:
    assert engine.generate([]) == []
    assert list(engine.stream([])) == []


def check_stream_gives_each_index_once(engine: Engine) -> None:
    indices = [index for index, _ in engine.stream(requests())]
    assert sorted(indices) == list(range(len(PROMPTS)))


def check_generate_keeps_the_order(engine: Engine) -> None:
    together = texts(engine)
    alone = [engine.generate([request])[0] for request in requests()]
    assert [answer.text for answer in alone if isinstance(answer, Completion)] == together
    assert any(len(text) > 1 for text in together)


def check_equal_requests_give_equal_greedy_answers(engine: Engine) -> None:
    request = requests()[0]
    first, second = engine.generate([request, request])
    assert isinstance(first, Completion)
    assert isinstance(second, Completion)
    assert first.texts == second.texts


def check_number_of_samples(engine: Engine) -> None:
    params = SamplingParams(max_tokens=8, num_samples=3, temperature=1.0, seed=7)
    for answer in engine.generate(requests(params)):
        assert isinstance(answer, Completion)
        assert len(answer.texts) == len(answer.finish_reasons) == 3


def check_seed_repeats_a_sample(engine: Engine) -> None:
    params = SamplingParams(max_tokens=12, temperature=1.0, seed=7)
    assert texts(engine, params) == texts(engine, params)


def check_limit_of_tokens(engine: Engine) -> None:
    answers = engine.generate(requests(SamplingParams(max_tokens=1)))
    assert all(isinstance(answer, Completion) for answer in answers)
    reasons = [answer.finish_reason for answer in answers if isinstance(answer, Completion)]
    assert FinishReason.LENGTH in reasons


def check_stop_strings_end_and_are_left_out(engine: Engine) -> None:
    for prompt, text in zip(PROMPTS, texts(engine), strict=True):
        if not text:
            continue
        stop = text[len(text) // 2]
        params = SamplingParams(max_tokens=12, stop=("\0never\0", stop))
        (answer,) = engine.generate([GenerationRequest(prompt=prompt, params=params)])
        assert isinstance(answer, Completion)
        assert answer.text == text[: text.index(stop)]
        assert answer.finish_reason is FinishReason.STOP


def check_usage_counts_tokens(engine: Engine) -> None:
    (answer,) = engine.generate(requests()[:1])
    assert isinstance(answer, Completion)
    if answer.usage is not None:
        assert answer.usage.num_prompt_tokens >= 1
        assert 1 <= answer.usage.num_completion_tokens <= GREEDY.max_tokens


def check_logprobs_stand_for_each_token(engine: Engine) -> None:
    most = engine.capabilities.max_top_logprobs
    if not most:
        return
    for answer in engine.generate(requests(SamplingParams(max_tokens=6, top_logprobs=min(2, most)))):
        assert isinstance(answer, Completion)
        assert answer.logprobs is not None
        (tokens,) = answer.logprobs
        assert tokens
        for token in tokens:
            assert token.logprob <= 0
            assert token.top
            # Greedy: no alternative is likelier.
            assert max(token.top.values()) <= token.logprob + 1e-4


def check_too_many_alternatives_are_refused_before_any_request(engine: Engine) -> None:
    most = engine.capabilities.max_top_logprobs
    wanted = 1 if most is None else most + 1
    with pytest.raises(ConfigError, match="request 0"):
        engine.generate(requests(SamplingParams(top_logprobs=wanted)))


def check_conversations(engine: Engine) -> None:
    conversation = Conversation(messages=(Message(role=Role.USER, content="說三個水果"),))
    request = GenerationRequest(prompt=conversation, params=GREEDY)
    if not engine.capabilities.chat:
        with pytest.raises(ConfigError, match="conversation"):
            engine.generate([request])
        return
    (answer,) = engine.generate([request])
    assert isinstance(answer, Completion)
    if engine.capabilities.renders_chat:
        assert "說三個水果" in chat_renderer(engine).render_chat(conversation)


def _is_refused(answer: object) -> bool:
    if not isinstance(answer, EngineFailure):
        return False
    assert answer.kind is FailureKind.BAD_REQUEST
    assert "lone surrogate" in answer.message
    assert len(answer.message.splitlines()) == 1
    return True


def check_lone_surrogate_fails_its_request_alone(engine: Engine) -> None:
    broken = (
        GenerationRequest(prompt="一\ud800", params=GREEDY),
        GenerationRequest(prompt="\udfff二", params=GREEDY),
        GenerationRequest(prompt=PROMPTS[0], params=SamplingParams(stop=("。", "\ud800"))),
    )
    answers = engine.generate([broken[0], *requests()[:2], *broken[1:]])
    assert [_is_refused(answer) for answer in answers] == [True, False, False, True, True]
    assert [answer.text for answer in answers if isinstance(answer, Completion)] == texts(engine)[:2]
    assert [_is_refused(answer) for answer in engine.generate(broken[:1])] == [True]


def check_lone_surrogate_in_a_conversation_or_schema_fails_its_request(engine: Engine) -> None:
    broken: list[GenerationRequest] = []
    if engine.capabilities.json_schema:
        params = SamplingParams(max_tokens=12, json_schema={"enum": ["a", {"b\ud800": 1}]})
        broken.append(GenerationRequest(prompt="一", params=params))
    if engine.capabilities.chat:
        conversation = Conversation(messages=(Message(role=Role.USER, content="說\ud800"),))
        broken.append(GenerationRequest(prompt=conversation, params=GREEDY))
    assert all(_is_refused(answer) for answer in engine.generate(broken))


def check_lone_surrogate_fails_its_score_alone(engine: Engine) -> None:
    asked = [
        LikelihoodRequest(context=PROMPTS[0], continuation="玉"),
        LikelihoodRequest(context="一\ud83d", continuation="\ude00二"),
        LikelihoodRequest(context=PROMPTS[0], continuation="\udfff"),
    ]
    if engine.capabilities.likelihood:
        assert [_is_refused(one) for one in likelihood_scorer(engine).loglikelihood(asked)] == [False, True, True]
    if engine.capabilities.sequence_logprobs:
        scored = sequence_scorer(engine).sequence_logprobs(["\ud800一", PROMPTS[0]])
        assert [_is_refused(one) for one in scored] == [True, False]


def check_likelihoods_keep_the_order(engine: Engine) -> None:
    if not engine.capabilities.likelihood:
        with pytest.raises(ConfigError, match="cannot score"):
            likelihood_scorer(engine)
        return
    scorer = likelihood_scorer(engine)
    assert scorer.loglikelihood([]) == []
    asked = [LikelihoodRequest(context=prompt, continuation=end) for prompt in PROMPTS for end in ("玉", "二三")]
    together = scorer.loglikelihood(asked)
    alone = [scorer.loglikelihood([request])[0] for request in asked]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, Likelihood)
        assert isinstance(other, Likelihood)
        assert one.num_tokens == other.num_tokens
        assert one.logprob == pytest.approx(other.logprob, abs=1e-3)


def check_sequence_logprobs_keep_the_order(engine: Engine) -> None:
    if not engine.capabilities.sequence_logprobs:
        with pytest.raises(ConfigError, match="cannot score"):
            sequence_scorer(engine)
        return
    scorer = sequence_scorer(engine)
    assert scorer.sequence_logprobs([]) == []
    scored = scorer.sequence_logprobs(PROMPTS)
    assert len(scored) == len(PROMPTS)
    for answer in scored:
        assert isinstance(answer, SequenceLogprobs)
        assert answer.tokens


def check_it_says_what_it_is(engine: Engine) -> None:
    assert isinstance(engine, Engine)
    assert isinstance(engine.identity, ModelIdentity)
    assert json.loads(json.dumps(engine.settings, allow_nan=False)) == engine.settings


def check_closing_twice_does_nothing(engine: Engine) -> None:
    with engine as same:
        assert same is engine
    engine.close()


def check_failures(answers: list[Completion | EngineFailure], num_expected: int) -> None:
    """Used by engines that can be made to fail."""
    failures = [answer for answer in answers if isinstance(answer, EngineFailure)]
    assert len(failures) == num_expected
    assert all(failure.num_attempts >= 1 for failure in failures)


CONTRACT: tuple[Callable[[Engine], None], ...] = (
    check_no_requests_give_no_answers,
    check_stream_gives_each_index_once,
    check_generate_keeps_the_order,
    check_equal_requests_give_equal_greedy_answers,
    check_number_of_samples,
    check_seed_repeats_a_sample,
    check_limit_of_tokens,
    check_stop_strings_end_and_are_left_out,
    check_usage_counts_tokens,
    check_logprobs_stand_for_each_token,
    check_too_many_alternatives_are_refused_before_any_request,
    check_conversations,
    check_lone_surrogate_fails_its_request_alone,
    check_lone_surrogate_in_a_conversation_or_schema_fails_its_request,
    check_lone_surrogate_fails_its_score_alone,
    check_likelihoods_keep_the_order,
    check_sequence_logprobs_keep_the_order,
    check_it_says_what_it_is,
    check_closing_twice_does_nothing,
)
