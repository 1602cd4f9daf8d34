import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmlu_bench._protocols import Scoring
from tmlu_bench._run_plan import ExamSettings, draw_sample, plan_exam
from twllm_types import ConfigError, DataError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import make_question, make_set


def make_groups(sizes: dict[str, int]) -> dict:
    return {subject: [make_question(subject, k) for k in range(size)] for subject, size in sizes.items()}


SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 12), min_size=1)


@given(SIZES, st.integers(1, 60), st.integers(0, 5))
def test_sample_gives_each_subject_its_share_within_one(sizes: dict[str, int], limit: int, seed: int) -> None:
    total = sum(sizes.values())
    sample = draw_sample(make_groups(sizes), limit=limit, seed=seed)
    assert sum(len(drawn) for drawn in sample.values()) == min(limit, total)
    for subject, drawn in sample.items():
        assert abs(len(drawn) - min(limit, total) * sizes[subject] / total) < 1
        assert len({question.id for question in drawn}) == len(drawn)


@given(SIZES, st.integers(1, 60))
def test_sample_does_not_depend_on_the_order_of_the_files(sizes: dict[str, int], limit: int) -> None:
    groups = make_groups(sizes)
    turned = {subject: list(reversed(groups[subject])) for subject in reversed(groups)}
    one, other = draw_sample(groups, limit=limit, seed=1), draw_sample(turned, limit=limit, seed=1)
    assert {s: {q.id for q in drawn} for s, drawn in one.items()} == {
        s: {q.id for q in drawn} for s, drawn in other.items()
    }


def test_sample_of_another_seed_is_another_sample() -> None:
    groups = make_groups({"a": 50})
    assert draw_sample(groups, limit=10, seed=1) != draw_sample(groups, limit=10, seed=2)


def test_plan_without_limit_asks_all_in_order() -> None:
    plan = plan_exam(make_set({"a": 3, "b": 2}), ExamSettings(num_shots=2))
    assert [(item.key.subject, item.key.question_id) for item in plan.items] == [
        ("a", "a-0"),
        ("a", "a-1"),
        ("a", "a-2"),
        ("b", "b-0"),
        ("b", "b-1"),
    ]
    assert {item.num_shots for item in plan.items} == {2}


def test_plan_names_subjects_that_the_sample_misses() -> None:
    plan = plan_exam(make_set({"a": 50, "b": 1}), ExamSettings(num_shots=0, limit=5))
    assert (plan.num_available, len(plan.items), plan.not_sampled) == (51, 5, ("b",))


def test_plan_of_chosen_subjects_leaves_the_others_out() -> None:
    plan = plan_exam(make_set({"a": 3, "b": 2}), ExamSettings(subjects=("b",)))
    assert {item.key.subject for item in plan.items} == {"b"}


def test_plan_of_an_unknown_subject_is_refused() -> None:
    with pytest.raises(DataError, match="no subject 'c'"):
        plan_exam(make_set({"a": 3}), ExamSettings(subjects=("c",)))


def test_plan_without_dev_rows_is_refused_with_the_ways_out() -> None:
    with pytest.raises(ConfigError, match=r"subject a has 1 dev row for --num-shots 3.*--fewer-shots"):
        plan_exam(make_set({"a": 3}, num_dev=1), ExamSettings(num_shots=3))


def test_plan_with_fewer_shots_by_choice_records_how_many() -> None:
    plan = plan_exam(make_set({"a": 3}, num_dev=1), ExamSettings(num_shots=3, fewer_shots=True))
    assert plan.shots == {"a": 1}
    assert {item.num_shots for item in plan.items} == {1}


def test_plan_of_an_empty_set_is_refused() -> None:
    with pytest.raises(DataError, match="no question to ask"):
        plan_exam(make_set({"a": 0}), ExamSettings())


def test_plan_circular_puts_every_rotation() -> None:
    plan = plan_exam(make_set({"a": 2}), ExamSettings(circular=True, num_shots=0))
    assert [item.variant for item in plan.items] == [0, 1, 2, 3] * 2
    assert len({item.permuted.order for item in plan.items}) == 4


def test_plan_permuted_is_seeded() -> None:
    one, same, other = (
        [item.permuted.order for item in plan_exam(make_set({"a": 9}), ExamSettings(permute=seed)).items]
        for seed in (1, 1, 2)
    )
    assert one == same != other


def test_plan_with_a_question_among_its_own_examples_keeps_it_as_a_problem() -> None:
    questions = make_set({"a": 2})
    subject = questions.subjects[0]
    leaky = replace(questions, subjects=(replace(subject, dev=(subject.test[0],)),))
    first, second = plan_exam(leaky, ExamSettings(num_shots=1)).items
    assert first.prompt is None
    assert "is its own worked example" in (first.problem or "")
    assert second.prompt is not None


def test_plan_of_which_no_prompt_can_be_built_is_refused() -> None:
    questions = make_set({"a": 2})
    subject = questions.subjects[0]
    bare = tuple(replace(row, explanation=None) for row in subject.dev)
    with pytest.raises(DataError, match=r"no question of a can be put: dev row .* has no explanation"):
        plan_exam(
            replace(questions, subjects=(replace(subject, dev=bare),)),
            ExamSettings(protocol="tmlu-cot", scoring=Scoring.GENERATE),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "none"}, "no protocol is named 'none'"),
        ({"protocol": "tmlu-cot"}, "is not scored by logprob; use --scoring generate"),
        ({"num_shots": 6}, "--num-shots 6 with tmlu-direct; give 0 to 5"),
        ({"extractor": "magic"}, "extractor 'magic' is none of robust, compat"),
        ({"circular": True, "permute": 1}, "leave --permute out"),
        ({"limit": 0}, "limit is 0"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExamSettings(**change)


def test_settings_as_json_name_protocol_version_and_reader() -> None:
    row = ExamSettings(scoring=Scoring.GENERATE, extractor="compat").to_json()
    assert (row["protocol"], row["protocol_version"], row["extractor"], row["max_tokens"]) == (
        "tmlu-direct",
        "1",
        "compat",
        128,
    )


def test_subject_named_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="subjects names geo more than once; name each subject once"):
        ExamSettings(subjects=("geo", "his", "geo"))
