"""Figures of questions with several orders, and of subjects without any answer."""

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest

from tmlu_bench._aggregate import summarise, summary_to_json
from tmlu_bench._aggregate_letters import (
    clustered_homogeneity,
    marginal_homogeneity,
    measure_calibration,
    measure_position_bias,
)
from tmlu_bench._estimates import estimate_from_json
from tmlu_bench._outcomes import ItemFailure, ItemResult, Outcome
from tmlu_bench._summary import SummaryOptions
from twllm_runs.statistics import mean_estimate, wilson_interval
from twllm_types import EstimateUnit

GROUPS = {"s1": "one", "s2": "one", "s3": "two"}
EXCLUDE = SummaryOptions(exclude_errors=True, draws=50)


def make(subject: str, number: int, choice: str | None, *, variant: int = 0, gold: str = "A", **more) -> ItemResult:
    order = tuple((at + variant) % 4 for at in range(4))
    error = ItemFailure(kind="timeout", message="late") if choice is None else None
    decided = Outcome.CORRECT if choice == gold else Outcome.WRONG
    return ItemResult(
        subject=subject,
        question_id=f"{number:03}",
        variant=variant,
        order=order,
        gold=gold,
        choice=choice,
        outcome=Outcome.ERROR if choice is None else decided,
        failure=error,
        **more,
    )


def make_circular(count: int, *, seed: int = 0) -> list[ItemResult]:
    """Each question has one favourite option, which the model mostly finds in every order."""
    rng = np.random.default_rng(seed)
    items: list[ItemResult] = []
    for number in range(count):
        favourite, gold = ("ABCD"[int(at)] for at in rng.integers(0, 4, 2))
        for variant in range(4):
            choice = favourite if rng.random() < 0.9 else "ABCD"[int(rng.integers(4))]
            scores = {letter: log(0.85 if letter == choice else 0.05) for letter in "ABCD"}
            mass = 0.5 if favourite in "AB" else 0.95
            items.append(make("s", number, choice, variant=variant, gold=gold, logprobs=scores, captured_mass=mass))
    return items


def test_position_figures_of_circular_items_are_clustered_by_question() -> None:
    items = make_circular(30)
    bias = measure_position_bias(items)
    row = bias.rows[0]
    chosen = [float(item.shown_position(item.choice or "") == 0) for item in items]
    clusters = [item.question_id for item in items]
    expected = mean_estimate(chosen, unit=EstimateUnit.SHARE, clusters=clusters)
    assert (row.chosen_share.mean, row.chosen_share.ci_low) == (expected.mean, expected.ci_low)
    assert {row.chosen_share.num_clusters, row.gold_share.num_clusters, row.recall.num_clusters} == {30}
    assert bias.method.endswith("clustered by question")


def test_position_figures_of_items_of_one_order_stay_independent() -> None:
    items = [make("s", number, "ABCD"[number % 4], gold="ABCD"[number % 3]) for number in range(24)]
    bias = measure_position_bias(items)
    row = bias.rows[0]
    assert (row.chosen_share.ci_low, row.chosen_share.ci_high) == wilson_interval(6, 24)
    assert (row.gold_share.mean, row.gold_share.ci_low) == (8 / 24, wilson_interval(8, 24)[0])
    assert row.recall.num_clusters is None
    assert "clustered" not in bias.method


def test_clustered_homogeneity_of_clusters_of_one_is_stuarts() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, 4, (60, 2))
    table, differences = np.zeros((4, 4)), np.zeros((60, 4))
    for place, (row, column) in enumerate(pairs):
        table[row, column] += 1
        differences[place, row] += 1
        differences[place, column] -= 1
    statistic, degrees = clustered_homogeneity(differences)
    assert (statistic, degrees) == (pytest.approx(marginal_homogeneity(table)[0]), 3)


def test_clustered_homogeneity_does_not_grow_where_each_pair_is_repeated() -> None:
    differences = np.array([[1.0, -1, 0]] * 8 + [[0, 1.0, -1]] * 5 + [[-1.0, 0, 1]] * 2)
    once, thrice = clustered_homogeneity(differences), clustered_homogeneity(3 * differences)
    assert once[0] == pytest.approx(thrice[0])
    assert clustered_homogeneity(np.zeros((4, 3))) == (None, 0)


def test_position_test_of_repeated_answers_keeps_its_level() -> None:
    # Under no preference of positions; with repeated items taken as independent, far more than 5 % would reject.
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(200):
        items: list[ItemResult] = []
        for number in range(40):
            gold, choice = ("ABCD"[int(at)] for at in rng.integers(0, 4, 2))
            one = make("s", number, choice, gold=gold)
            # Every order shows the same, as for questions whose options name letters.
            items.extend(replace(one, variant=variant) for variant in range(3))
        rejected += measure_position_bias(items).p_value < 0.05
    assert rejected / 200 < 0.1


def test_calibration_of_circular_items_is_clustered_by_question_in_every_figure() -> None:
    calibration = measure_calibration(make_circular(20))
    assert calibration is not None
    (row,) = [row for row in calibration.bins if row.n]
    assert (row.n, row.accuracy.num_clusters, calibration.ece.num_clusters) == (80, 20, 20)
    # All confidences are equal, so their mean has no error to tell.
    assert calibration.mean_confidence.mean == pytest.approx(0.85)
    assert calibration.mean_confidence.ci_low is None
    assert row.accuracy.stderr == pytest.approx(
        mean_estimate(
            [float(item.choice == item.gold) for item in make_circular(20)],
            unit=EstimateUnit.SHARE,
            clusters=[item.question_id for item in make_circular(20)],
        ).stderr
    )


def test_captured_mass_of_circular_items_is_clustered_by_question() -> None:
    mass = summarise(make_circular(20), options=EXCLUDE).captured_mass
    assert mass is not None
    assert (mass.share_below.num_clusters, mass.mean.num_clusters) == (20, 20)
    independent = 0.5 / (79**0.5)
    assert (mass.share_below.stderr or 0) > 1.5 * independent


def test_confidence_and_gold_shares_are_estimates_in_json() -> None:
    scores = [{"A": log(0.6 + 0.01 * k), "B": log(0.1)} for k in range(9)]
    items = [make("s", k, "A", gold="AB"[k % 2], logprobs=row) for k, row in enumerate(scores)]
    row = json.loads(json.dumps(summary_to_json(summarise(items, options=EXCLUDE))))
    figures = (
        row["calibration"]["mean_confidence"],
        row["calibration"]["bins"][8]["mean_confidence"],
        row["calibration"]["bins"][0]["mean_confidence"],
        row["position_bias"]["rows"][0]["gold_share"],
    )
    mean, last, nothing, gold = (estimate_from_json(figure) for figure in figures)
    assert (mean.n, last.n, nothing.n, nothing.mean) == (9, 9, 0, None)
    assert mean.ci_low is not None
    assert gold.mean == pytest.approx(5 / 9)


def test_subjects_without_any_answer_are_named_and_not_counted() -> None:
    items = [make("s1", 1, "A"), make("s1", 2, "B"), make("s2", 1, None), make("s3", 1, None), make("s3", 2, None)]
    summary = summarise(items, groups=GROUPS, options=EXCLUDE)
    overall = summary.overall
    assert (overall.num_subjects, overall.num_groups, overall.num_grouped_subjects) == (1, 1, 1)
    assert (overall.subjects_left_out, overall.groups_left_out) == (("s2", "s3"), ("two",))
    assert overall.left_out_text == "in no figure, as all their questions ended in error: s2, s3; groups: two"
    assert [(row.group, row.num_subjects, row.subjects_left_out) for row in summary.groups] == [
        ("one", 1, ("s2",)),
        ("two", 0, ("s3",)),
    ]
    assert overall.macro_subjects is not None
    assert overall.macro_subjects.mean == 0.5


def test_subjects_without_any_answer_are_counted_where_errors_withhold_the_figures() -> None:
    overall = summarise([make("s1", 1, "A"), make("s2", 1, None)], groups=GROUPS).overall
    assert (overall.num_subjects, overall.subjects_left_out, overall.left_out_text) == (2, (), "")


def test_subject_with_some_answers_is_not_left_out() -> None:
    overall = summarise([make("s1", 1, "A"), make("s1", 2, None)], groups=GROUPS, options=EXCLUDE).overall
    assert (overall.num_subjects, overall.left_out_text) == (1, "")
