from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tmlu_bench._compare import ComparedRun, CompareOptions, compare_runs, comparison_to_json, split_comparable
from twllm_runs.statistics import minimum_detectable_difference
from twllm_types import ConfigError, DataError


def make_run(name: str, right: Sequence[float | None], *, subject: str = "s", **setting: str) -> ComparedRun:
    return ComparedRun(
        name=name,
        shares={(subject, str(k)): value for k, value in enumerate(right)},
        setting=setting or {"protocol": "p"},
    )


FIRST = make_run("first", [1.0] * 30 + [0.0] * 10)
SECOND = make_run("second", [1.0] * 15 + [0.0] * 20 + [1.0] * 5)


def test_pair_is_tested_by_mcnemar_as_scipy_does() -> None:
    (pair,) = compare_runs([FIRST, SECOND]).pairs
    assert (pair.num_only_first, pair.num_only_second) == (15, 5)
    assert pair.test.p_value == pytest.approx(binomtest(5, 20).pvalue)
    assert pair.micro.mean == pytest.approx(10 / 40)
    assert pair.detectable == minimum_detectable_difference(40, discordant_share=0.5)


def test_pair_difference_turns_its_sign_with_the_order() -> None:
    (one,), (other,) = compare_runs([FIRST, SECOND]).pairs, compare_runs([SECOND, FIRST]).pairs
    assert one.micro.mean == pytest.approx(-(other.micro.mean or 0))
    assert one.test.p_value == other.test.p_value


def test_runs_that_agree_everywhere_show_no_difference() -> None:
    (pair,) = compare_runs([FIRST, make_run("copy", list(FIRST.shares.values()))]).pairs
    assert (pair.micro.mean, pair.test.p_value, pair.detectable) == (0.0, 1.0, None)


def test_three_runs_are_corrected_over_their_pairs() -> None:
    third = make_run("third", [0.0] * 40)
    pairs = compare_runs([FIRST, SECOND, third]).pairs
    assert [(pair.first, pair.second) for pair in pairs] == [
        ("first", "second"),
        ("first", "third"),
        ("second", "third"),
    ]
    smallest = min(pairs, key=lambda pair: pair.test.p_value)
    assert smallest.p_holm == pytest.approx(3 * smallest.test.p_value)
    assert all(pair.test.p_value <= pair.p_benjamini_hochberg <= pair.p_holm for pair in pairs)


def test_subjects_are_corrected_within_a_pair() -> None:
    def both(name: str, one: list[float], two: list[float]) -> ComparedRun:
        return ComparedRun(
            name=name,
            shares={**make_run(name, one, subject="a").shares, **make_run(name, two, subject="b").shares},
            setting={"protocol": "p"},
        )

    (pair,) = compare_runs([both("x", [1.0] * 10, [1.0] * 4), both("y", [0.0] * 10, [0.0] * 2 + [1.0] * 2)]).pairs
    a, b = pair.subjects
    assert (a.subject, b.subject) == ("a", "b")
    assert a.test.p_value == pytest.approx(2 / 2**10)
    assert a.p_holm == pytest.approx(4 / 2**10)
    assert pair.macro_subjects.mean == pytest.approx((1.0 + 0.5) / 2)
    assert pair.micro.mean == pytest.approx(12 / 14)


def test_runs_with_several_variants_are_tested_by_flipping_signs() -> None:
    (pair,) = compare_runs([make_run("x", [0.75, 1.0, 0.5]), make_run("y", [0.25, 1.0, 1.0])]).pairs
    assert pair.test.method == "paired permutation, all assignments"


def test_runs_of_other_protocols_are_refused_with_both_names() -> None:
    with pytest.raises(ConfigError, match=r"protocol: p \(first\), q \(other\).*--allow-different"):
        compare_runs([FIRST, make_run("other", [1.0] * 40, protocol="q")])


def test_runs_of_other_questions_are_refused_with_counts() -> None:
    with pytest.raises(ConfigError, match=r"questions: 40 \(first\), 30 \(short\), 30 in common"):
        compare_runs([FIRST, make_run("short", [1.0] * 30)])


def test_runs_that_differ_compare_by_choice_on_common_questions_and_say_so() -> None:
    comparison = compare_runs(
        [FIRST, make_run("short", [1.0] * 30, protocol="q")], CompareOptions(allow_different=True)
    )
    assert comparison.num_common == 30
    assert comparison.num_left_out == {"first": 10, "short": 0}
    assert len(comparison.different) == 2


def test_runs_of_the_same_prompts_need_not_name_their_protocol_alike() -> None:
    prompts = {key: f"hash {key}" for key in FIRST.shares}
    one = ComparedRun(name="one", shares=FIRST.shares, setting={"protocol": "p"}, prompts=prompts)
    other = ComparedRun(name="other", shares=FIRST.shares, setting={"protocol": "q"}, prompts=dict(prompts))
    assert compare_runs([one, other]).different == ()


def test_runs_with_errors_are_refused_or_lose_these_questions() -> None:
    broken = make_run("broken", [None, *[1.0] * 39])
    with pytest.raises(ConfigError, match="1 common question ended in error"):
        compare_runs([FIRST, broken])
    comparison = compare_runs([FIRST, broken], CompareOptions(exclude_errors=True))
    assert (comparison.num_common, comparison.num_errors) == (39, 1)


@pytest.mark.parametrize("runs", [[], [FIRST], [FIRST, FIRST]])
def test_fewer_than_two_distinct_runs_are_refused(runs: list[ComparedRun]) -> None:
    with pytest.raises(ConfigError, match="two or more runs of different names"):
        compare_runs(runs)


def test_runs_without_common_question_are_refused() -> None:
    with pytest.raises(DataError, match="no question in common"):
        compare_runs([FIRST, make_run("far", [1.0] * 3, subject="t")], CompareOptions(allow_different=True))


@pytest.mark.parametrize("exclude_errors", [False, True])
def test_comparison_of_nothing_but_errors_is_refused_and_says_whose(exclude_errors: bool) -> None:
    pair = [make_run("x", [None, 1.0]), make_run("y", [None, None])]
    with pytest.raises(DataError, match=r"each of 2 common questions .* 1 \(x\), 2 \(y\), so nothing is left"):
        compare_runs(pair, CompareOptions(exclude_errors=exclude_errors))


def test_no_detectable_difference_says_which_of_the_two_reasons_it_has() -> None:
    (alike,) = compare_runs([FIRST, make_run("copy", list(FIRST.shares.values()))]).pairs
    assert alike.detectable_text == "not known, as no question is right in one run only"
    (few,) = compare_runs([make_run("x", [1.0, 0.0]), make_run("y", [0.0, 1.0])]).pairs
    assert (few.detectable, few.detectable_text) == (None, "none, 2 questions are too few for any")
    (enough,) = compare_runs([FIRST, SECOND]).pairs
    assert enough.detectable_text == f"{100 * (enough.detectable or 0):.1f} pp"


def test_comparison_as_json_names_both_runs() -> None:
    row = comparison_to_json(compare_runs([FIRST, SECOND]))
    assert row["names"] == ("first", "second")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30))
def test_detectable_difference_and_interval_lie_in_range(pairs: list[tuple[bool, bool]]) -> None:
    runs = [make_run("x", [float(a) for a, _ in pairs]), make_run("y", [float(b) for _, b in pairs])]
    (pair,) = compare_runs(runs, CompareOptions(draws=50)).pairs
    low, high = pair.micro.ci_low, pair.micro.ci_high
    assert (low is None) == (len({a - b for a, b in pairs}) == 1)
    assert low is None or high is None or -1 <= low <= high <= 1
    assert pair.detectable is None or 0 < pair.detectable <= 1


def test_runs_that_do_not_compare_are_left_out_with_the_reason_and_the_others_stay() -> None:
    broken, other = make_run("broken", [None] * 40), make_run("other", [1.0] * 40, protocol="q")
    kept, left_out = split_comparable([broken, FIRST, other, SECOND], CompareOptions(exclude_errors=True))
    assert [run.name for run in kept] == ["first", "second"]
    assert list(left_out) == ["broken", "other"]
    assert "40 (broken)" in left_out["broken"]
    assert "q (other)" in left_out["other"]


def test_runs_that_all_compare_are_all_kept() -> None:
    assert split_comparable([FIRST, SECOND], CompareOptions()) == ((FIRST, SECOND), {})
    assert split_comparable([FIRST], CompareOptions()) == ((FIRST,), {})


def test_of_two_runs_that_do_not_compare_the_one_with_errors_is_left_out() -> None:
    kept, left_out = split_comparable([FIRST, make_run("broken", [None, *[1.0] * 39])], CompareOptions())
    assert ([run.name for run in kept], list(left_out)) == (["first"], ["broken"])


def test_runs_of_which_only_pairs_compare_lose_the_one_with_most_errors() -> None:
    runs = [make_run("x", [None, None, 1.0]), make_run("y", [1.0, 1.0, None]), make_run("z", [None, 1.0, 1.0])]
    runs[2] = make_run("z", [1.0, None, 1.0])
    kept, left_out = split_comparable(runs, CompareOptions(exclude_errors=True))
    assert len(kept) == 2
    assert list(left_out) == ["x"]
