from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import LlamaForCausalLM, LlamaForSequenceClassification, LlamaForTokenClassification

from step_kto._judges import CallableJudge, JudgeFailure, StepItem, StepJudge, count_failures
from step_kto._judges_arithmetic import ArithmeticJudge, check_arithmetic
from step_kto._judges_llm import LlmStepJudge
from step_kto._judges_prompt import judge_conversation, read_verdicts, verdict_schema
from step_kto._judges_reward import RewardFormat, RewardModelJudge
from step_kto._toy_model import toy_model_config
from step_kto._toy_tokenizer import make_toy_tokenizer
from twllm_engines import EngineCapabilities
from twllm_types import (
    Completion,
    ConfigError,
    DataError,
    EngineFailure,
    FailureKind,
    FinishReason,
    GenerationRequest,
    ModelIdentity,
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("12 + 7 = 19", True),
        ("12 + 7 = 18", False),
        ("## Step 1: (12 + 7) * 3 = 57.", True),
        ("2 * 3 = 12 / 2 = 6", True),
        ("2 * 3 = 6 = 7", False),
        ("So he pays 3 * $4 = $12, and 12 + 5 = 17 in all.", True),
        ("So he pays 3 * $4 = $12, and 12 + 5 = 18 in all.", False),
        ("She sold 48/2 = <<48/2=24>>24 clips.", True),
        ("She sold 48/2 = <<48/2=25>>25 clips.", False),
        (r"\frac{1}{2} + \frac{1}{3} = \frac{5}{6}", True),
        (r"$3 \times 4 = 12$", True),
        ("3 x 4 = 12", True),
        ("1,200 + 34 = 1,234", True),
        ("10 / 3 = 3.33", True),
        ("10 / 3 = 3.34", False),
        ("20% * 50 = 10", True),
        ("5 / 50 * 100 = 10%", True),
        ("5 / 50 = 10%", True),
        ("x = 3 + 4 = 7", True),
        ("There are 3. 4 + 5 = 9", True),
        ("-3 + 5 = 2", True),
        ("4 = 5", False),
        ("4 + 1 = 5 (see above)", True),
        ("３＋４＝８", False),
        ("1/3 = 33.3%", True),
        ("the average of 3 and 5 = 8 / 2 = 4", True),
        # another statement than the equation alone
        ("7 / 2 = 3 remainder 1", None),
        ("7 ÷ 2 = 3 餘 1", None),
        ("7 / 2 = 3 R 1", None),
        ("3 + 4 = 2 (mod 5)", None),
        ("√16 + 9 = 13", None),
        ("log 100 + 3 = 5", None),
        ("12:30 + 1 = 13:30", None),
        ("2 : 3 + 1 = 5", None),
        ("100 - 20% = 80", None),
        ("Is 3 + 4 = 8? No.", None),
        ("3 + 4 = 8 is false", None),
        ("If 3 + 4 = 8 then", None),
        ("3 . 4 = 12", None),
        # nothing that can be checked
        ("2x + 3 = 7", None),
        ("x + 3 = 7", None),
        ("x - 3 = 7", None),
        ("n = 12", None),
        ("half of 20 = 10", None),
        ("20% of 50 = 10", None),
        ("the sum of 3 and 4 = 7", None),
        ("He has 2 of 10 + 5 = 15", None),
        ("24 = 12 dozens * 2", None),
        ("3 + 4 = 12x", None),
        ("3 + 4 = 2 + y", None),
        ("4 + 4 >= 5", None),
        ("1 / 0 = 3", None),
        ("He walks home.", None),
        ("", None),
        ("1 + 1 = 3" + " " * 20_000, None),
    ],
)
def test_check_arithmetic_equations_between_numbers(text: str, *, label: bool | None) -> None:
    assert check_arithmetic(text) is label


def test_check_arithmetic_rounding_can_be_refused() -> None:
    assert check_arithmetic("10 / 3 = 3.33", allow_rounding=False) is False


@given(st.integers(-999, 999), st.integers(-999, 999), st.integers(-5, 5))
def test_check_arithmetic_difference_is_right_exactly_where_it_is(left: int, right: int, error: int) -> None:
    assert check_arithmetic(f"{left} - ({right}) = {left - right + error}") is (error == 0)


@given(st.text(max_size=80))
def test_check_arithmetic_any_text_is_judged_without_error(text: str) -> None:
    assert check_arithmetic(text) in (True, False, None)


def test_arithmetic_judge_labels_each_step() -> None:
    judge = ArithmeticJudge()
    assert isinstance(judge, StepJudge)
    steps = ("1 + 1 = 2", "2 + 2 = 5", "so it is done")
    assert judge.judge("", "", steps) == (True, False, None)
    (judgement,) = judge.judge_many([StepItem(problem="", reference="", steps=steps)])
    assert (judgement.labels, judgement.failure) == ((True, False, None), None)


def test_callable_judge_gives_what_the_function_says() -> None:
    judge = CallableJudge(lambda problem, reference, steps: [problem == reference] * len(steps))
    assert isinstance(judge, StepJudge)
    items = [StepItem(problem="a", reference="a", steps=("s", "t")), StepItem(problem="a", reference="b", steps=("s",))]
    assert [each.labels for each in judge.judge_many(items)] == [(True, True), (False,)]


@pytest.mark.parametrize(("labels", "message"), [([True], "1 labels for 2 steps"), ([True, 1], "gave 1 for step 2")])
def test_callable_judge_bad_labels_are_refused(labels: list[bool], message: str) -> None:
    with pytest.raises(DataError, match=message):
        CallableJudge(lambda *_: labels).judge("p", "r", ["a", "b"])


def test_callable_judge_without_labels_is_refused() -> None:
    with pytest.raises(DataError, match="a judge gave None; return one label per step"):
        CallableJudge(lambda *_: None).judge("p", "r", ["a"])  # pyright: ignore[reportArgumentType]


def test_step_item_without_steps_is_refused() -> None:
    with pytest.raises(DataError, match="'steps' is empty"):
        StepItem(problem="p", reference="r", steps=())


@pytest.mark.parametrize("language", ["en", "zh-TW"])
def test_judge_prompt_is_as_recorded(language: str) -> None:
    steps = ("12 + 7 = 19\n", "19 * 3 = 56")
    chosen = "en" if language == "en" else "zh-TW"
    conversation = judge_conversation("Compute (12 + 7) * 3.", "12 + 7 = 19, 19 * 3 = 57", steps, language=chosen)
    text = "\n\n".join(f"[{message.role}]\n{message.content}" for message in conversation.messages) + "\n"
    assert text == (GOLDEN / f"step_judge_{language}.txt").read_text(encoding="utf-8")


def test_judge_prompt_without_reference_says_so() -> None:
    conversation = judge_conversation("p", "", ["s"], language="en")
    assert "Reference solution:\n(none)" in conversation.messages[1].content


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"verdicts": ["right", "wrong", "unsure"]}', (True, False, None)),
        ('I think:\n```json\n{"verdicts": [" Right", "wrong", "wrong"]}\n```', (True, False, False)),
        ('{"a": {"b": 1}} {"verdicts": ["wrong", "right", "right"]}', (False, True, True)),
        ("all are right", JudgeFailure.NO_JSON),
        ('{"verdicts": ["right"', JudgeFailure.NO_JSON),
        ('{"labels": []}', JudgeFailure.NO_JSON),
        ('{"verdicts": "right"}', JudgeFailure.WRONG_SHAPE),
        ('{"verdicts": ["right", "maybe", "right"]}', JudgeFailure.WRONG_SHAPE),
        ('{"verdicts": ["right", 1, null]}', JudgeFailure.WRONG_SHAPE),
        ('{"verdicts": ["right"]}', JudgeFailure.WRONG_COUNT),
        (
            '<think>{"verdicts": ["wrong", "wrong", "wrong"]}?</think>{"verdicts": ["right", "right", "right"]}',
            (True,) * 3,
        ),
        ('<think>perhaps {"verdicts": ["wrong", "wrong", "wrong"]}, no, wait', JudgeFailure.NO_JSON),
        ('{"verdicts": ["right", "right", "right"], "verdicts": ["wrong", "wrong", "wrong"]}', JudgeFailure.NO_JSON),
        ('{"verdicts": [' * 5000, JudgeFailure.NO_JSON),
        ("\\boxed{" * 20_000, JudgeFailure.NO_JSON),
    ],
)
def test_read_verdicts_answer_or_its_fault(text: str, expected: object) -> None:
    assert read_verdicts(text, 3) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"verdicts": ["right"]}\n```\n', (True,)),
        ('{"verdicts": ["right"]} although the first', JudgeFailure.NO_JSON),
    ],
    ids=["at-the-end", "draft"],
)
def test_read_verdicts_of_a_text_cut_off_needs_an_answer_at_its_end(text: str, expected: object) -> None:
    assert read_verdicts(text, 1, is_cut_off=True) == expected


class FakeEngine:
    """Gives the answers that it was made with."""

    def __init__(self, answers: Sequence[Completion | EngineFailure], *, json_schema: bool) -> None:
        self.answers, self.requests = list(answers), list[GenerationRequest]()
        self.capabilities = EngineCapabilities(
            likelihood=False,
            sequence_logprobs=False,
            chat=True,
            raw_prompts=False,
            json_schema=json_schema,
            max_top_logprobs=None,
        )
        self.settings = {}

    @property
    def identity(self) -> ModelIdentity:
        raise NotImplementedError

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        self.requests += requests
        yield from enumerate(self.answers)

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        return [answer for _, answer in self.stream(requests)]

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def completion(text: str, finish: FinishReason = FinishReason.STOP) -> Completion:
    return Completion(texts=(text,), finish_reasons=(finish,))


def test_llm_judge_failures_are_unknown_with_their_reason() -> None:
    item = StepItem(problem="p", reference="r", steps=("a", "b"))
    answers = [
        completion('{"verdicts": ["right", "wrong"]}'),
        EngineFailure(kind=FailureKind.TIMEOUT, message="no answer"),
        completion('{"verdicts": ["rig', FinishReason.LENGTH),
        completion("no idea"),
        completion('{"verdicts": ["right", "right"]}', FinishReason.REFUSAL),
        completion("", FinishReason.CONTENT_FILTER),
    ]
    engine = FakeEngine(answers, json_schema=True)
    judgements = LlmStepJudge(engine).judge_many([item] * 6)
    assert [judgement.labels for judgement in judgements] == [(True, False), *[(None, None)] * 5]
    assert count_failures(judgements) == {
        JudgeFailure.ENGINE: 1,
        JudgeFailure.TRUNCATED: 1,
        JudgeFailure.NO_JSON: 1,
        JudgeFailure.REFUSED: 2,
    }
    assert engine.requests[0].params.json_schema == verdict_schema(2)
    assert engine.requests[0].params.temperature == 0


def test_llm_judge_engine_without_schema_is_asked_in_words() -> None:
    engine = FakeEngine([completion('{"verdicts": ["unsure"]}')], json_schema=False)
    assert LlmStepJudge(engine, language="zh-TW").judge("p", "r", ["a"]) == (None,)
    assert engine.requests[0].params.json_schema is None


def reward_model(kind: type, labels: int) -> Any:
    torch.manual_seed(0)
    config = toy_model_config(hidden_size=32, num_layers=1, num_heads=2, max_positions=64)
    config.num_labels = labels
    return kind(config).eval()


@pytest.mark.parametrize(
    ("kind", "labels", "head"),
    [
        (LlamaForTokenClassification, 2, "token"),
        (LlamaForTokenClassification, 1, "token"),
        (LlamaForSequenceClassification, 2, "sequence"),
        (LlamaForCausalLM, 2, "causal"),
    ],
    ids=["token", "token-one-class", "sequence", "causal"],
)
def test_reward_judge_steps_do_not_see_what_comes_after(kind: type, labels: int, head: str) -> None:
    text_format = {
        "token": RewardFormat(),
        "sequence": RewardFormat(head="sequence"),
        "causal": RewardFormat(head="causal"),
    }[head]
    judge = RewardModelJudge(reward_model(kind, labels), make_toy_tokenizer(), text_format=text_format)
    one, two = judge.rewards("Compute 1 + 1.", ["1 + 1 = 2"]), judge.rewards("Compute 1 + 1.", ["1 + 1 = 2", "no"])
    assert one is not None
    assert two is not None
    assert len(two) == 2
    assert one[0] == pytest.approx(two[0], abs=1e-6)
    assert all(0 <= reward <= 1 for reward in two)


def test_reward_judge_threshold_splits_and_long_text_is_unknown() -> None:
    model, tokenizer = reward_model(LlamaForTokenClassification, 2), make_toy_tokenizer()
    rewards = RewardModelJudge(model, tokenizer).rewards("p", ["1", "2"])
    assert rewards is not None
    middle = sum(rewards) / 2
    judge = RewardModelJudge(model, tokenizer, threshold=middle)
    assert set(judge.judge("p", "", ["1", "2"])) == {True, False}
    (judgement,) = judge.judge_many([StepItem(problem="p" * 70, reference="", steps=("1",))])
    assert (judgement.labels, judgement.failure) == ((None,), JudgeFailure.TOO_LONG)


def test_reward_judge_prompt_of_latex_keeps_its_braces() -> None:
    text_format = RewardFormat(prompt="Put it in \\boxed{}.\n{problem}\n")
    judge = RewardModelJudge(
        reward_model(LlamaForTokenClassification, 2), make_toy_tokenizer(), text_format=text_format
    )
    assert judge.rewards("1 + {1}", ["2"]) is not None


def test_reward_judge_reward_that_is_no_number_labels_nothing() -> None:
    model = reward_model(LlamaForTokenClassification, 2)
    torch.nn.init.constant_(model.score.weight, float("nan"))
    (judgement,) = RewardModelJudge(model, make_toy_tokenizer()).judge_many(
        [StepItem(problem="p", reference="", steps=("1", "2"))]
    )
    assert (judgement.labels, judgement.failure) == ((None, None), JudgeFailure.NOT_FINITE)


def test_reward_judge_class_that_the_model_lacks_is_refused() -> None:
    judge = RewardModelJudge(
        reward_model(LlamaForTokenClassification, 2), make_toy_tokenizer(), text_format=RewardFormat(positive_class=2)
    )
    with pytest.raises(ConfigError, match="positive_class is 2, and the model has 2 classes"):
        judge.judge("p", "", ["1"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"prompt": "Solve it.\n"}, "holds no {problem}"), ({"positive_class": -1}, "positive_class is -1")],
)
def test_reward_format_bad_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RewardFormat(**options)


@pytest.mark.parametrize(
    ("text_format", "threshold", "message"),
    [
        (RewardFormat(), 1.0, "threshold is 1.0"),
        (RewardFormat(separator=""), 0.5, "separator '' has no token"),
        (RewardFormat(head="causal", positive_sign="++"), 0.5, "'\\+\\+' is 2 tokens"),
    ],
    ids=["threshold", "separator", "sign"],
)
def test_reward_judge_bad_option_is_refused(text_format: RewardFormat, threshold: float, message: str) -> None:
    model = reward_model(LlamaForTokenClassification, 2)
    with pytest.raises(ConfigError, match=message):
        RewardModelJudge(model, make_toy_tokenizer(), text_format=text_format, threshold=threshold)


def test_reward_judge_loads_a_saved_model(tmp_path: Path) -> None:
    model, tokenizer = reward_model(LlamaForTokenClassification, 2), make_toy_tokenizer()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = RewardModelJudge.load(tmp_path)
    assert loaded.rewards("p", ["1"]) == RewardModelJudge(model, tokenizer).rewards("p", ["1"])
