from fractions import Fraction
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from step_kto._arithmetic import (
    ArithmeticSettings,
    Split,
    make_arithmetic_problems,
    reference_steps,
    split_of,
)
from step_kto._arithmetic_expressions import (
    Operation,
    evaluate,
    format_expression,
    parse_expression,
    plain_arithmetic,
)
from step_kto._arithmetic_reasoning_gym import load_reasoning_gym_task
from step_kto._arithmetic_truth import arithmetic_step_truth, explain_arithmetic_steps
from twllm_types import ConfigError, MissingDependencyError

numbers = st.integers(-50, 50).map(Fraction)
expressions = st.recursive(
    numbers,
    lambda inner: st.builds(
        lambda operator, left, right: Operation(operator=operator, left=left, right=right),
        st.sampled_from(["+", "-", "*", "/"]),
        inner,
        inner,
    ),
    max_leaves=6,
)


def parsed(text: str):
    found = parse_expression(text)
    assert found is not None
    return found


@given(expressions)
def test_expression_written_and_read_has_the_same_value(expression) -> None:
    assert evaluate(parsed(format_expression(expression))) == evaluate(expression)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", Fraction(7)),
        ("(1 + 2) * 3", Fraction(9)),
        ("7 - 3 - 2", Fraction(2)),
        ("-(2 + 3)", Fraction(-5)),
        ("+4", Fraction(4)),
        ("8 / 2 / 2", Fraction(2)),
        ("1,234.5", Fraction(2469, 2)),
        ("50%", Fraction(1, 2)),
        ("(20 + 30)%", Fraction(1, 2)),
    ],
)
def test_parse_expression_value_is_exact(text: str, value: Fraction) -> None:
    assert evaluate(parsed(text)) == value


@pytest.mark.parametrize(
    "text", ["", " ", "1 +", "(1", "1)", "2 3", "x", "*2", "1,22,333", "-", "()", "1" * 401, "(" * 50 + "1" + ")" * 50]
)
def test_parse_expression_anything_else_is_none(text: str) -> None:
    assert parse_expression(text) is None


@pytest.mark.parametrize("text", ["1 / 0", "1 / (2 - 2)", "(1 / 0) + 1"])
def test_evaluate_division_by_zero_is_none(text: str) -> None:
    assert evaluate(parsed(text)) is None


def test_plain_arithmetic_latex_becomes_signs() -> None:
    plain = plain_arithmetic(r"\left( \frac{1}{2} \times 4 \right) ÷ 2 − 3 x 5 · \$1{,}000\%")
    assert evaluate(parsed(plain)) == Fraction(1) - 150


@given(st.integers(0, 10_000), st.sampled_from(list(Split)))
def test_problems_reference_solution_is_true_and_ends_in_the_answer(seed: int, split: Split) -> None:
    settings = ArithmeticSettings(operators=("+", "-", "*", "/"), max_steps=5, allow_negative=True, story_share=0.5)
    (problem,) = make_arithmetic_problems(1, split=split, seed=seed, settings=settings)
    assert arithmetic_step_truth(problem.expression, problem.steps) == (True,) * len(problem.steps)
    assert problem.steps[-1].endswith(f"\\boxed{{{problem.answer}}}")
    assert problem.prompt.endswith("\n")
    assert settings.min_steps <= len(problem.steps) - 1 <= settings.max_steps
    assert split_of(problem.prompt) is split


def test_problems_splits_share_nothing_whatever_the_seed() -> None:
    prompts = {
        split: {problem.prompt for seed in range(3) for problem in make_arithmetic_problems(60, split=split, seed=seed)}
        for split in Split
    }
    assert not prompts[Split.TRAIN] & prompts[Split.TEST]
    assert not prompts[Split.TRAIN] & prompts[Split.VALIDATION]
    assert not prompts[Split.VALIDATION] & prompts[Split.TEST]


def test_problems_same_seed_is_the_same_list_without_repetition() -> None:
    first, second = (make_arithmetic_problems(50, split=Split.TRAIN, seed=7) for _ in range(2))
    assert first == second
    assert len({problem.prompt for problem in first}) == 50
    assert first != make_arithmetic_problems(50, split=Split.TRAIN, seed=8)


@pytest.mark.parametrize("operator", ["+", "-", "*"])
def test_problems_that_the_bounds_leave_no_room_for_are_refused(operator: str) -> None:
    settings = ArithmeticSettings(operators=(operator,), min_steps=60, max_steps=60)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ConfigError, match="these settings gave 0 of 3 different problems"):
        make_arithmetic_problems(3, split=Split.TRAIN, seed=0, settings=settings)


def test_problems_values_stay_in_bounds() -> None:
    settings = ArithmeticSettings(max_value=60, max_operand=30, story_share=0.0)
    for problem in make_arithmetic_problems(80, split=Split.TRAIN, seed=1, settings=settings):
        for step in problem.steps[:-1]:
            assert 0 <= int(step.rsplit("=", 1)[1]) <= 60


def test_problems_multiplications_only_are_chains() -> None:
    settings = ArithmeticSettings(operators=("*",), max_value=9999, story_share=0.0, min_steps=3, max_steps=3)
    (problem,) = make_arithmetic_problems(1, split=Split.TRAIN, seed=1, settings=settings)
    assert "+" not in problem.prompt


def test_problems_too_many_for_the_settings_are_refused() -> None:
    settings = ArithmeticSettings(min_steps=1, max_steps=1, operators=("+",), max_operand=2, story_share=0.0)
    with pytest.raises(ConfigError, match="of 50 different problems"):
        make_arithmetic_problems(50, split=Split.TRAIN, seed=0, settings=settings)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("min_steps", {"min_steps": 0}),
        ("max_steps", {"min_steps": 3, "max_steps": 2}),
        ("max_operand", {"max_operand": 0}),
        ("max_factor", {"max_factor": 1}),
        ("max_value", {"max_value": 5}),
        ("story_share", {"story_share": 1.5}),
        ("operators", {"operators": ()}),
        ("operators", {"operators": ("^",)}),
    ],
)
def test_settings_bad_value_is_refused(name: str, options: dict) -> None:
    with pytest.raises(ConfigError, match=name):
        ArithmeticSettings(**options)


def test_problems_negative_count_is_refused() -> None:
    with pytest.raises(ConfigError, match="count is -1"):
        make_arithmetic_problems(-1, split=Split.TRAIN, seed=0)


def test_reference_steps_division_by_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="divides by zero"):
        reference_steps(parsed("1 / (2 - 2)"))


PROBLEM = "(12 + 7) * 3 - 4"


@pytest.mark.parametrize(
    ("steps", "own", "absolute"),
    [
        (["12 + 7 = 19", "19 * 3 = 57", "57 - 4 = 53", r"\boxed{53}"], [True] * 4, [True] * 4),
        (["## Step 1: 7 + 12 = 19\n", "3 * 19 = 57.", r"\boxed{53}"], [True] * 3, [True] * 3),
        (["12 + 7 = 18", "18 * 3 = 54", "54 - 4 = 50", r"\boxed{50}"], [False, True, True, True], [False] * 4),
        (["12 + 8 = 20"], [False], [False]),
        (["3 - 4 = -1"], [False], [False]),
        (["12 + 7 = 19", "I go on", "= 3", "19 * 3 = x"], [True, None, None, None], [True, None, None, None]),
        (["(12 + 7) * 3 = 19 * 3 = 57"], [True], [True]),
        ([r"\boxed{53}"], [True], [True]),
        ([r"\boxed{x}"], [False], [False]),
        ([], [], []),
    ],
)
def test_step_truth_on_its_own_and_absolute(steps: list[str], own: list, absolute: list) -> None:
    problem = parsed(PROBLEM)
    assert list(arithmetic_step_truth(problem, steps)) == own
    assert list(arithmetic_step_truth(problem, steps, carry_errors=False)) == absolute


def test_step_truth_says_what_is_wrong() -> None:
    sums, other = explain_arithmetic_steps(parsed(PROBLEM), ["12 + 7 = 20", "2 + 2 = 4"])
    assert (sums.arithmetic, sums.follows) == (False, True)
    assert (other.arithmetic, other.follows) == (True, False)


# what reasoning-gym imports warns of its own syntax
@pytest.mark.filterwarnings("ignore")
def test_reasoning_gym_task_scores_its_own_answers() -> None:
    if find_spec("reasoning_gym") is None:
        pytest.skip("reasoning-gym is not installed (extra [tasks])")
    task = load_reasoning_gym_task("basic_arithmetic", count=3, seed=1)
    assert [task.score_answer(answer, at) for at, answer in enumerate(task.answers)] == [1.0] * 3
    assert task.questions == load_reasoning_gym_task("basic_arithmetic", count=3, seed=1).questions
    with pytest.raises(ConfigError, match="no task 'nothing'"):
        load_reasoning_gym_task("nothing", count=1, seed=1)


def test_reasoning_gym_absent_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "reasoning_gym", None)
    with pytest.raises(MissingDependencyError, match=r"step-kto\[tasks\]"):
        load_reasoning_gym_task("basic_arithmetic", count=1, seed=1)


def test_reasoning_gym_count_of_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="count is 0"):
        load_reasoning_gym_task("basic_arithmetic", count=0, seed=1)
