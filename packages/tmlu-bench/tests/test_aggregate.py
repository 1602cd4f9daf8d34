import json
import random
from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from tmlu_bench._aggregate import score_questions, summarise, summary_to_json
from tmlu_bench._aggregate_letters import (
    chi_square_tail,
    marginal_homogeneity,
    measure_calibration,
    measure_position_bias,
    option_probabilities,
)
from tmlu_bench._estimates import estimate_from_json, estimate_to_json
from tmlu_bench._outcomes import ItemFailure, ItemResult, Outcome
from tmlu_bench._summary import SummaryOptions
from twllm_runs.statistics import wilson_interval

GROUPS = {"s1": "one", "s2": "one", "s3": "two"}


def make(
    subject: str, number: int, outcome: Outcome, *, variant: int = 0, gold: str = "A", choice: str | None = None, **more
) -> ItemResult:
    if outcome is Outcome.CORRECT:
        choice = gold
    elif outcome is Outcome.WRONG:
        choice = choice or ("B" if gold == "A" else "A")
    return ItemResult(
        subject=subject,
        question_id=f"{number:03}",
        variant=variant,
        order=more.pop("order", (0, 1, 2, 3)),
        gold=gold,
        choice=choice,
        outcome=outcome,
        failure=ItemFailure(kind="timeout", message="late") if outcome is Outcome.ERROR else None,
        **more,
    )


def make_subject(subject: str, right: int, wrong: int, *, unparsed: int = 0, truncated: int = 0, errors: int = 0):
    outcomes = (
        [Outcome.CORRECT] * right
        + [Outcome.WRONG] * wrong
        + [Outcome.UNPARSED] * unparsed
        + [Outcome.TRUNCATED] * truncated
        + [Outcome.ERROR] * errors
    )
    return [make(subject, number, outcome) for number, outcome in enumerate(outcomes)]


EXAM = [*make_subject("s1", 6, 4), *make_subject("s2", 10, 20), *make_subject("s3", 4, 2, unparsed=1, truncated=1)]


def test_summary_micro_counts_unparsed_and_truncated_as_wrong_with_wilson_interval() -> None:
    overall = summarise(EXAM, groups=GROUPS).overall
    assert overall.micro is not None
    assert (overall.micro.mean, overall.micro.n, overall.micro.num_unscored) == (pytest.approx(20 / 48), 48, 0)
    assert (overall.micro.ci_low, overall.micro.ci_high) == wilson_interval(20, 48)
    assert overall.counts == {"correct": 20, "wrong": 26, "unparsed": 1, "truncated": 1, "error": 0}


def test_summary_macro_figures_weigh_subjects_or_groups_alike() -> None:
    overall = summarise(EXAM, groups=GROUPS).overall
    assert overall.macro_subjects is not None
    assert overall.macro_groups is not None
    assert overall.macro_subjects.mean == pytest.approx((0.6 + 1 / 3 + 0.5) / 3)
    assert overall.macro_groups.mean == pytest.approx((16 / 40 + 0.5) / 2)
    assert overall.macro_subjects.method == "percentile bootstrap, stratified, strata weighted alike"


def test_summary_macro_interval_agrees_with_the_stratified_normal_one() -> None:
    macro = summarise(EXAM, groups=GROUPS, options=SummaryOptions(draws=20_000)).overall.macro_subjects
    variance = sum(p * (1 - p) / n for p, n in ((0.6, 10), (1 / 3, 30), (0.5, 8))) / 9
    assert macro is not None
    assert macro.stderr == pytest.approx(variance**0.5, rel=0.03)
    assert macro.ci_high == pytest.approx((0.6 + 1 / 3 + 0.5) / 3 + 1.96 * variance**0.5, abs=0.015)


def test_summary_groups_name_micro_and_macro() -> None:
    first, second = summarise(EXAM, groups=GROUPS).groups
    assert (first.group, first.num_subjects, second.num_subjects) == ("one", 2, 1)
    assert first.micro is not None
    assert first.macro_subjects is not None
    assert (first.micro.mean, first.macro_subjects.mean) == (pytest.approx(0.4), pytest.approx((0.6 + 1 / 3) / 2))


def test_summary_without_groups_has_no_group_figures() -> None:
    summary = summarise(EXAM)
    assert (summary.groups, summary.overall.macro_groups) == ((), None)


def test_summary_with_errors_withholds_what_they_touch_only() -> None:
    summary = summarise([*EXAM, make("s3", 99, Outcome.ERROR)], groups=GROUPS)
    assert summary.overall.micro is summary.overall.macro_subjects is summary.overall.macro_groups is None
    assert summary.overall.withheld == (
        "1 of 49 items ended in error; run them again with --retry-errors, or use --exclude-errors"
    )
    assert [row.accuracy is None for row in summary.subjects] == [False, False, True]
    assert [row.micro is None for row in summary.groups] == [False, True]


def test_summary_with_errors_left_out_says_how_many() -> None:
    options = SummaryOptions(exclude_errors=True)
    overall = summarise([*EXAM, make("s3", 99, Outcome.ERROR)], groups=GROUPS, options=options).overall
    assert overall.micro is not None
    assert (overall.micro.n, overall.micro.num_unscored, overall.num_excluded) == (48, 1, 1)
    assert overall.withheld is None


def test_summary_of_no_items_has_no_mean() -> None:
    overall = summarise([]).overall
    assert overall.micro is not None
    assert (overall.micro.mean, overall.micro.n, overall.num_questions) == (None, 0, 0)


def test_summary_of_nothing_but_errors_left_out_has_no_mean() -> None:
    options = SummaryOptions(exclude_errors=True)
    overall = summarise([make("s", 1, Outcome.ERROR)], groups={"s": "g"}, options=options).overall
    assert overall.micro is not None
    assert overall.macro_groups is not None
    assert (overall.micro.mean, overall.macro_groups.mean, overall.micro.num_unscored) == (None, None, 1)


@given(st.randoms(use_true_random=False))
def test_summary_does_not_depend_on_the_order_of_writing(rng: random.Random) -> None:
    shuffled = list(EXAM)
    rng.shuffle(shuffled)
    options = SummaryOptions(draws=50)
    assert summarise(shuffled, groups=GROUPS, options=options) == summarise(EXAM, groups=GROUPS, options=options)


def test_summary_of_a_retried_item_takes_its_last_record() -> None:
    overall = summarise([make("s", 1, Outcome.ERROR), make("s", 1, Outcome.CORRECT)]).overall
    assert overall.micro is not None
    assert (overall.micro.mean, overall.micro.n) == (1.0, 1)


def test_macro_of_answers_that_are_all_wrong_claims_no_certainty() -> None:
    overall = summarise([*make_subject("s1", 0, 5), *make_subject("s2", 0, 5)]).overall
    assert overall.macro_subjects is not None
    assert overall.micro is not None
    assert (overall.macro_subjects.mean, overall.macro_subjects.ci_low, overall.macro_subjects.stderr) == (
        0,
        None,
        None,
    )
    assert overall.macro_subjects.method.endswith("no error: no two items of a stratum differ")
    assert overall.micro.ci_high == wilson_interval(0, 10)[1]


def test_circular_question_counts_as_right_when_every_order_is() -> None:
    items = [
        *(make("s", 1, Outcome.CORRECT, variant=k) for k in range(4)),
        *(make("s", 2, Outcome.CORRECT if k else Outcome.WRONG, variant=k) for k in range(4)),
    ]
    overall = summarise(items).overall
    assert overall.all_variants is not None
    assert overall.micro is not None
    assert (overall.all_variants.mean, overall.all_variants.n) == (0.5, 2)
    assert (overall.micro.mean, overall.micro.n, overall.num_variants) == (pytest.approx(7 / 8), 2, 4)


def test_circular_question_with_one_error_has_no_score() -> None:
    scores = score_questions([make("s", 1, Outcome.CORRECT), make("s", 1, Outcome.ERROR, variant=1)])
    assert [score.share for score in scores] == [None]


def test_chance_is_the_mean_of_one_over_the_options() -> None:
    items = [make("s", 1, Outcome.CORRECT), make("s", 2, Outcome.CORRECT, order=(0, 1))]
    assert summarise(items).overall.chance == pytest.approx(3 / 8)


def test_captured_mass_is_summed_up() -> None:
    masses = (0.95, 0.5, 0.99)
    mass = summarise(
        [make("s", k, Outcome.CORRECT, captured_mass=value) for k, value in enumerate(masses)]
    ).captured_mass
    assert mass is not None
    assert (mass.mean.mean, mass.least, mass.share_below.mean) == (
        pytest.approx(sum(masses) / 3),
        0.5,
        pytest.approx(1 / 3),
    )


def test_summary_as_json_holds_estimates_that_read_back() -> None:
    summary = summarise(EXAM, groups=GROUPS)
    row = json.loads(json.dumps(summary_to_json(summary)))
    assert estimate_from_json(row["overall"]["micro"]) == summary.overall.micro
    assert row["subjects"][0]["counts"]["correct"] == 6
    assert summary.overall.micro is not None
    assert estimate_from_json(estimate_to_json(summary.overall.micro)) == summary.overall.micro


def test_position_bias_of_a_model_that_always_says_the_first_is_found() -> None:
    items = [make("s", k, Outcome.CORRECT, gold="ABCD"[k % 4]) for k in range(0, 40, 4)]
    items += [make("s", k, Outcome.WRONG, gold="ABCD"[k % 4], choice="A") for k in range(40) if k % 4]
    bias = measure_position_bias(items)
    assert [row.num_chosen for row in bias.rows] == [40, 0, 0, 0]
    assert [row.recall.mean for row in bias.rows] == [1.0, 0.0, 0.0, 0.0]
    assert bias.p_value < 1e-5


def test_position_bias_is_by_shown_position() -> None:
    bias = measure_position_bias([make("s", 1, Outcome.CORRECT, gold="C", order=(2, 0, 1, 3))])
    assert [row.num_gold for row in bias.rows] == [1, 0, 0, 0]


def test_position_bias_of_right_answers_only_has_nothing_to_test() -> None:
    bias = measure_position_bias([make("s", k, Outcome.CORRECT, gold="AB"[k % 2]) for k in range(6)])
    assert (bias.statistic, bias.degrees_of_freedom, bias.p_value) == (None, 0, 1.0)


def test_position_bias_without_choices_is_empty() -> None:
    bias = measure_position_bias([make("s", 1, Outcome.UNPARSED)])
    assert (bias.rows, bias.num_undecided, bias.p_value) == ((), 1, 1.0)


def test_marginal_homogeneity_of_two_categories_is_mcnemars_statistic() -> None:
    statistic, degrees = marginal_homogeneity(np.array([[10.0, 12.0], [5.0, 8.0]]))
    assert statistic == pytest.approx((12 - 5) ** 2 / (12 + 5))
    assert degrees == 1


def test_marginal_homogeneity_equals_the_textbook_solution() -> None:
    # Stuart's test by its definition: the last category left out, the covariance inverted.
    table = np.array([[20.0, 10, 5, 2], [3, 30, 15, 1], [0, 5, 40, 9], [4, 4, 2, 50]])
    d = (table.sum(axis=1) - table.sum(axis=0))[:3]
    s = np.diag(table.sum(axis=1) + table.sum(axis=0) - 2 * np.diag(table)) - (
        table + table.T - 2 * np.diag(np.diag(table))
    )
    expected = d @ np.linalg.inv(s[:3, :3]) @ d
    assert marginal_homogeneity(table) == (pytest.approx(expected), 3)


@given(st.floats(0, 200), st.integers(1, 9))
def test_chi_square_tail_equals_scipys(x: float, degrees: int) -> None:
    assert chi_square_tail(x, degrees) == pytest.approx(chi2.sf(x, degrees), rel=1e-9, abs=1e-14)


def test_option_probabilities_are_a_softmax_with_zero_for_what_is_missing() -> None:
    probs = option_probabilities(make("s", 1, Outcome.CORRECT, logprobs={"A": log(0.3), "B": log(0.1)}))
    assert probs == {"A": pytest.approx(0.75), "B": pytest.approx(0.25), "C": 0.0, "D": 0.0}


def test_option_probabilities_of_nothing_reported_are_none() -> None:
    assert option_probabilities(make("s", 1, Outcome.UNPARSED, logprobs={})) is None
    assert option_probabilities(make("s", 1, Outcome.UNPARSED)) is None


def test_calibration_error_equals_its_definition() -> None:
    rng = np.random.default_rng(0)
    items, confidences, rights = [], [], []
    for number in range(200):
        raw = rng.normal(size=4) * 2
        probs = np.exp(raw) / np.exp(raw).sum()
        choice = "ABCD"[int(probs.argmax())]
        gold = "ABCD"[int(rng.integers(4))]
        outcome = Outcome.CORRECT if choice == gold else Outcome.WRONG
        items.append(
            make("s", number, outcome, gold=gold, choice=choice, logprobs=dict(zip("ABCD", np.log(probs), strict=True)))
        )
        confidences.append(probs.max())
        rights.append(choice == gold)
    expected = 0.0
    for low in range(10):
        inside = [k for k, c in enumerate(confidences) if low / 10 <= c < (low + 1) / 10 or (low == 9 and c == 1)]
        if inside:
            gap = np.mean([rights[k] for k in inside]) - np.mean([confidences[k] for k in inside])
            expected += len(inside) / 200 * abs(gap)
    calibration = measure_calibration(items)
    assert calibration is not None
    assert calibration.ece.mean == pytest.approx(expected)
    assert calibration.ece.ci_low is not None
    assert sum(row.n for row in calibration.bins) == 200


def test_calibration_of_certain_and_right_answers_is_perfect() -> None:
    sure = {"A": 0.0, "B": -800.0}
    calibration = measure_calibration([make("s", k, Outcome.CORRECT, logprobs=sure) for k in range(5)])
    assert calibration is not None
    assert calibration.ece.mean == pytest.approx(0.0)
    assert calibration.bins[-1].n == 5
    assert exp(-800) == 0.0


def test_calibration_with_variants_is_clustered_by_question() -> None:
    items = [
        make("s", k, Outcome.CORRECT, variant=v, logprobs={"A": -0.1, "B": -2.5}) for k in range(6) for v in range(2)
    ]
    calibration = measure_calibration(items)
    assert calibration is not None
    assert calibration.ece.num_clusters == 6


def test_calibration_without_probabilities_is_none() -> None:
    assert measure_calibration([make("s", 1, Outcome.CORRECT)]) is None
