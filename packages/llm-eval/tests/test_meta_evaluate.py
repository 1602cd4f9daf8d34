"""Judges held against people, on a small invented set."""

import json
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest

from llm_eval._baselines import TextUnit, bleu4, rouge_l
from llm_eval._correlation import CorrelationMethod, NoCorrelation, correlate
from llm_eval._items import JudgeItem, Turn
from llm_eval._judge_scores import JudgeScores, plain_scores
from llm_eval._meta_evaluate import meta_evaluate
from llm_eval._meta_evaluation import (
    Clustering,
    EvaluationLevel,
    NoCorrectedMean,
    meta_evaluation_to_json,
)
from llm_eval._ratings import RatedItem, RatingFault, RatingFaultKind, Ratings
from llm_eval._reliability import NoReliability, partial_correlation, reliability
from llm_eval._resample import bootstrap_correlations
from twllm_types import ConfigError, DataError, Estimate

P, S, K = CorrelationMethod
SYSTEMS = ("alpha", "beta", "gamma", "truth")
NUM_CONTEXTS = 8
RNG = np.random.default_rng(1)
IDS = [f"{context}-{system}" for context in range(NUM_CONTEXTS) for system in SYSTEMS]
MERIT = {item_id: RNG.normal() + SYSTEMS.index(item_id.split("-")[1]) / 2 for item_id in IDS}
RATED = {
    item_id: {
        name: tuple(float(np.clip(np.round(3 + MERIT[item_id] + RNG.normal()), 1, 5)) for _ in range(3))
        for name in ("Content", "Grammar")
    }
    for item_id in IDS
}
SCORES = {item_id: {name: MERIT[item_id] + RNG.normal() for name in ("content", "grammar")} for item_id in IDS}
ITEMS = [
    JudgeItem(
        id=item_id,
        context=(Turn(speaker=None, text=f"第 {item_id.split('-')[0]} 題"),),
        response=" ".join(["好"] * (1 + len(item_id) + at % 5)),
        references=("好 好 好 壞",),
        system=item_id.split("-")[1],
    )
    for at, item_id in enumerate(IDS)
]
FAULT = RatingFault(where="f:1", item_id="x", dimension="Content", kind=RatingFaultKind.NOT_A_NUMBER, value='"N/A"')


def make_ratings(ids: list[str] = IDS, **changes: object) -> Ratings:
    rated = {
        item_id: RatedItem(
            id=item_id, ratings=RATED[item_id], system=item_id.split("-")[1], cluster=item_id.split("-")[0]
        )
        for item_id in ids
    }
    made = Ratings(items=rated, scales={"Content": (1, 5)}, verdicts={}, faults=(FAULT,))
    return replace(made, **changes)


def columns(ids: list[str], dimension: str = "content") -> tuple[list[float], list[float]]:
    """Scores and mean ratings to 12 digits, as `meta_evaluate` takes them."""
    human = dimension.capitalize()
    means = [SCORES[i][dimension] for i in ids], [sum(RATED[i][human]) / 3 for i in ids]
    scores, rated = ([float(f"{mean:.12g}") for mean in column] for column in means)
    return scores, rated


def assert_same(one: Estimate | None, other: Estimate | None) -> None:
    """Equal but for the last digit, which depends on how many columns a matrix product has."""
    assert one is not None
    assert other is not None
    assert (one.ci_low, one.ci_high) == pytest.approx((other.ci_low, other.ci_high), abs=1e-12)
    assert replace(one, stderr=0, ci_low=0, ci_high=0) == replace(other, stderr=0, ci_low=0, ci_high=0)


def test_meta_evaluate_correlations_are_those_of_the_columns() -> None:
    found = meta_evaluate(SCORES, make_ratings(), draws=50, seed=3)
    (judge,) = found.judges
    assert (judge.judge, found.num_rated, found.num_faults) == ("judge", 32, {RatingFaultKind.NOT_A_NUMBER: 1})
    for one in judge.dimensions:
        x, y = columns(IDS, one.dimension)
        labels = [item_id.split("-")[0] for item_id in IDS]
        by_items = bootstrap_correlations([x], [y], draws=50, seed=3)[0]
        by_clusters = bootstrap_correlations([x], [y], clusters=labels, draws=50, seed=3)[0]
        for method in CorrelationMethod:
            result = one.correlations[method]
            assert result.correlation == correlate(x, y, method)
            assert_same(result.by_items, by_items[method].estimate)
            assert_same(result.by_clusters, by_clusters[method].estimate)
        assert one.correlations[P].permutation_p is not None
        assert one.correlations[K].permutation_p is None
        ceiling = reliability([RATED[i][one.human_dimension] for i in IDS], clusters=labels, draws=50, seed=3)
        assert one.reliability == ceiling
        assert one.rater_baseline[P].value is not None
        assert one.within_clusters[S].num_averaged == NUM_CONTEXTS
        assert one.self_consistency.num_repeats == 1
        assert set(one.calibration) == {"linear", "isotonic"}
        assert (one.baselines, one.length_partial, one.verdicts) == ({}, {}, None)
    assert [(one.first, one.second) for one in judge.halo] == [("content", "grammar")]


def test_meta_evaluate_with_items_adds_baselines_and_length() -> None:
    found = meta_evaluate(
        SCORES, make_ratings(), items=ITEMS, leave_out_systems=["truth"], draws=20, dimensions={"content": "Content"}
    )
    (one,) = found.judges[0].dimensions
    ids = [item_id for item_id in IDS if not item_id.endswith("truth")]
    kept = {item.id: item for item in ITEMS}
    x, y = columns(ids)
    expected = {
        "length": [len((kept[i].response or "").split()) for i in ids],
        "BLEU-4": [bleu4(kept[i].response or "", kept[i].references) for i in ids],
        "ROUGE-L": [rouge_l(kept[i].response or "", kept[i].references) for i in ids],
    }
    for name, scores in expected.items():
        assert one.baselines[name][S].correlation == correlate(scores, y, S)
    assert one.length_partial[P] == partial_correlation(x, y, expected["length"], P)
    assert (found.num_rated, found.left_out_systems, one.n) == (24, ("truth",), 24)
    assert found.judges[0].unrated_dimensions == ("grammar",)
    assert found.judges[0].unmatched == ()


def test_meta_evaluate_counts_what_does_not_match() -> None:
    scores = JudgeScores(
        judge="J",
        scores={
            **{item_id: {"content": (SCORES[item_id]["content"],)} for item_id in IDS[4:]},
            IDS[0]: {},
            "nobody": {"content": (1.0,)},
            "someone": {"content": (1.0,)},
        },
        failures={"no_json": 1},
    )
    (judge,) = meta_evaluate(scores, make_ratings(), draws=10).judges
    assert judge.unmatched == ("nobody", "someone")
    assert (judge.num_unjudged, judge.num_failed, judge.failures) == (4, 1, {"no_json": 1})
    assert (judge.dimensions[0].n, judge.dimensions[0].num_unscored) == (28, 4)


def test_meta_evaluate_repeats_are_averaged_and_compared() -> None:
    scores = {item_id: {"content": (value["content"], value["content"] + 1)} for item_id, value in SCORES.items()}
    judge = JudgeScores(judge="J", scores=scores, failures={})
    (one,) = meta_evaluate(judge, make_ratings(), draws=10).judges[0].dimensions
    x, y = columns(IDS)
    assert one.correlations[P].correlation.value == pytest.approx(correlate(x, y, P).value)
    assert one.self_consistency.identical_share == 0
    assert one.self_consistency.mean_within_sd == pytest.approx(0.5**0.5)
    assert one.self_consistency.between_repeats.value == pytest.approx(1)


def test_meta_evaluate_of_systems_correlates_means() -> None:
    found = meta_evaluate(SCORES, make_ratings(), items=ITEMS, level=EvaluationLevel.SYSTEM, draws=40, seed=2)
    one = found.judges[0].dimensions[0]
    x, y = (
        [fmean([column[at] for at, item_id in enumerate(IDS) if item_id.endswith(name)]) for name in SYSTEMS]
        for column in columns(IDS)
    )
    assert one.n == 4
    assert one.correlations[P].correlation.value == pytest.approx(correlate(x, y, P).value)
    assert one.correlations[S].correlation.value == pytest.approx(correlate(x, y, S).value)
    estimate = one.correlations[P].by_clusters
    assert estimate is not None
    assert (estimate.n, estimate.num_clusters) == (4, None)
    assert "means of 4 systems" in estimate.method
    assert f"clustered: {NUM_CONTEXTS} clusters" in estimate.method
    assert one.correlations[P].permutation_p is None
    assert one.baselines["length"][P].correlation.value is not None
    assert (one.calibration, one.within_clusters, one.length_partial, found.comparisons) == ({}, {}, {}, ())


def test_meta_evaluate_of_two_systems_has_no_correlation() -> None:
    ids = [item_id for item_id in IDS if item_id.endswith(("alpha", "beta"))]
    one = meta_evaluate(SCORES, make_ratings(ids), level=EvaluationLevel.SYSTEM, draws=10).judges[0].dimensions[0]
    assert one.correlations[P].correlation.reason is NoCorrelation.TOO_FEW_ITEMS
    assert one.correlations[P].by_items is None


def test_meta_evaluate_judges_are_compared_on_what_both_scored() -> None:
    fewer = {item_id: SCORES[item_id] for item_id in IDS[3:]}
    noise = {item_id: {"Content": RNG.normal()} for item_id in IDS}
    found = meta_evaluate(
        [plain_scores("good", fewer), plain_scores("bad", noise)], make_ratings(), draws=100, methods=[S]
    )
    (comparison,) = found.comparisons
    assert (comparison.first, comparison.second, comparison.dimension) == ("good", "bad", "Content")
    assert comparison.difference.estimate is not None
    assert comparison.difference.estimate.n == 29
    x, y = columns(IDS[3:])
    assert comparison.difference.first == correlate(x, y, S)


def test_meta_evaluate_corrects_means_with_judged_items_that_nobody_rated() -> None:
    few = [item_id for item_id in IDS if int(item_id.split("-")[0]) < 3 or item_id.endswith("alpha")]
    found = meta_evaluate(SCORES, make_ratings(few), items=ITEMS, clustering=Clustering.NONE, draws=10)
    means = {(one.system, one.dimension): one for one in found.judges[0].systems}
    beta, alpha = means["beta", "content"], means["alpha", "content"]
    assert beta.corrected is not None
    assert (beta.corrected.num_labelled, beta.corrected.num_unlabelled) == (3, 5)
    assert (beta.judge.n, beta.human.n, beta.reason) == (8, 3, None)
    assert (alpha.corrected, alpha.reason) == (None, NoCorrectedMean.NOTHING_UNLABELLED)
    assert found.judges[0].unmatched == ()
    lonely = meta_evaluate(SCORES, make_ratings(IDS[:1]), items=ITEMS, draws=10)
    reasons = {one.reason for one in lonely.judges[0].systems}
    assert reasons == {NoCorrectedMean.TOO_FEW_LABELLED}


@pytest.mark.parametrize(
    ("clustering", "num_clusters"), [(Clustering.CONTEXT, 8), (Clustering.SYSTEM, 4), (Clustering.NONE, None)]
)
@pytest.mark.parametrize("with_items", [True, False])
def test_meta_evaluate_clusters(clustering: Clustering, num_clusters: int | None, with_items: bool) -> None:
    found = meta_evaluate(
        SCORES, make_ratings(), items=ITEMS if with_items else (), clustering=clustering, draws=10, methods=[P]
    )
    one = found.judges[0].dimensions[0]
    by_clusters = one.correlations[P].by_clusters
    assert (by_clusters.num_clusters if by_clusters else None) == num_clusters
    assert bool(one.within_clusters) == (num_clusters is not None)


def test_meta_evaluate_items_without_cluster_are_alone() -> None:
    rated = {
        item_id: RatedItem(id=item_id, ratings=RATED[item_id], cluster="pair" if at < 2 else None)
        for at, item_id in enumerate(IDS)
    }
    found = meta_evaluate(SCORES, make_ratings(items=rated), draws=10)
    by_clusters = found.judges[0].dimensions[0].correlations[P].by_clusters
    assert by_clusters is not None
    assert by_clusters.num_clusters == 31
    assert {one.system for one in found.judges[0].systems} == {None}


def test_meta_evaluate_takes_items_of_its_level_alone() -> None:
    dialogues = [replace(item, response=None, references=()) for item in ITEMS[:6]]
    found = meta_evaluate(
        SCORES, make_ratings(), items=[*dialogues, *ITEMS[6:]], level=EvaluationLevel.DIALOGUE, draws=10
    )
    one = found.judges[0].dimensions[0]
    assert (found.num_rated, one.n, list(one.baselines)) == (6, 6, ["length"])
    assert found.judges[0].unmatched == ()


def test_meta_evaluate_length_of_chinese_counts_characters() -> None:
    one = (
        meta_evaluate(SCORES, make_ratings(), items=ITEMS, text_unit=TextUnit.CHARACTERS, draws=10)
        .judges[0]
        .dimensions[0]
    )
    assert one.baselines["length"][P].correlation.value is not None


def test_meta_evaluate_items_that_lack_a_text_have_no_length() -> None:
    # Rated and judged, but in no file of items: then they are not used at all.
    found = meta_evaluate(SCORES, make_ratings(), items=ITEMS[:20], draws=10)
    assert found.num_rated == 20
    # Items without references: no BLEU-4, while the length stays.
    bare = [replace(item, references=()) if at == 0 else item for at, item in enumerate(ITEMS)]
    one = meta_evaluate(SCORES, make_ratings(), items=bare, draws=10).judges[0].dimensions[0]
    assert list(one.baselines) == ["length"]


def test_meta_evaluate_constant_ratings_have_reasons_and_no_figures() -> None:
    rated = {item_id: RatedItem(id=item_id, ratings={"Content": (3.0, 3.0)}) for item_id in IDS}
    one = meta_evaluate(SCORES, make_ratings(items=rated), items=ITEMS, draws=10).judges[0].dimensions[0]
    assert one.correlations[P].correlation.reason is NoCorrelation.CONSTANT_Y
    assert one.correlations[P].permutation_p is None
    assert one.length_partial[P].reason is NoCorrelation.CONSTANT_Y
    assert one.reliability.reason is NoReliability.CONSTANT_RATINGS
    assert one.rater_baseline[P].num_undefined == 2


def test_meta_evaluate_nothing_in_common_has_reasons() -> None:
    scores = {f"other {at}": {"content": float(at)} for at in range(4)}
    (judge,) = meta_evaluate(scores, make_ratings(), items=ITEMS, draws=10).judges
    assert judge.dimensions[0].n == 0
    assert judge.dimensions[0].correlations[P].correlation.reason is NoCorrelation.TOO_FEW_ITEMS
    assert len(judge.unmatched) == 4
    assert judge.num_unjudged == 32


@pytest.mark.parametrize("level", [EvaluationLevel.TURN, EvaluationLevel.SYSTEM])
@pytest.mark.parametrize("with_items", [True, False])
@pytest.mark.parametrize(
    ("dimensions", "found"),
    [
        (None, [("Content", "Content"), ("Grammar", "Grammar")]),
        ({"content": "Content"}, [("content", "Content")]),
    ],
    ids=["all", "named"],
)
def test_meta_evaluate_of_a_judge_that_failed_throughout_stands_beside_others(
    level: EvaluationLevel, with_items: bool, dimensions: dict[str, str] | None, found: list[tuple[str, str]]
) -> None:
    failed = JudgeScores(judge="F", scores={key: {} for key in IDS}, failures={"no_json": 30, "refused": 2})
    items = ITEMS if with_items else ()
    choices = {"items": items, "dimensions": dimensions, "level": level, "draws": 10}
    both = meta_evaluate([plain_scores("J", SCORES), failed], make_ratings(), **choices)  # type: ignore[arg-type]
    good, bad = both.judges
    assert (bad.judge, bad.failures, bad.num_unjudged) == ("F", {"no_json": 30, "refused": 2}, 32)
    assert [(one.dimension, one.human_dimension) for one in bad.dimensions] == found
    assert {one.n for one in bad.dimensions} == {0}
    assert {one.num_unscored for one in bad.dimensions} == {32}
    assert {one.correlations[P].correlation.value for one in bad.dimensions} == {None}
    (alone,) = meta_evaluate(plain_scores("J", SCORES), make_ratings(), **choices).judges  # type: ignore[arg-type]
    assert good == alone


def test_meta_evaluate_verdicts() -> None:
    words = ("bad", "fair", "good")
    rated = {
        f"i{at}": RatedItem(id=f"i{at}", ratings={"verdict": codes})
        for at, codes in enumerate([(0.0, 0.0, 1.0), (1.0, 1.0), (2.0, 2.0), (0.0, 2.0), (2.0, 1.0, 2.0)])
    }
    scores = JudgeScores(
        judge="J",
        scores={
            f"i{at}": {"verdict": (word, "bad")} for at, word in enumerate(("bad", "fair", "good", "fair", "fair"))
        },
        failures={},
    )
    ratings = Ratings(items=rated, scales={}, verdicts={"verdict": words})
    (one,) = meta_evaluate(scores, ratings, draws=30).judges[0].dimensions
    assert one.verdicts is not None
    assert one.verdicts.num_tied == 1
    assert one.verdicts.kappa.n == 4
    assert one.verdicts.kappa.estimate is not None
    # agree on 3 of 4; judge 1 bad, 2 fair, 1 good; people 1 bad, 1 fair, 2 good: expected 5 / 16
    assert one.verdicts.kappa.estimate.mean == pytest.approx((3 / 4 - 5 / 16) / (1 - 5 / 16))
    assert one.verdicts.people.n == 5
    assert one.verdicts.people_and_judge.estimate is not None
    assert one.calibration == {}
    assert one.self_consistency.identical_share == pytest.approx(1 / 5)


def test_meta_evaluate_to_json_is_json_and_whole() -> None:
    found = meta_evaluate(SCORES, make_ratings(), items=ITEMS, draws=10)
    text = json.dumps(meta_evaluation_to_json(found), allow_nan=False)
    read = json.loads(text)
    assert read["schema_version"] == 1
    assert read["level"] == "turn"
    one = read["judges"][0]["dimensions"][0]
    assert one["correlations"]["spearman"]["correlation"]["value"] == pytest.approx(correlate(*columns(IDS), S).value)
    assert one["verdicts"] is None
    with pytest.raises(DataError, match="set has no place"):
        meta_evaluation_to_json(replace(found, left_out_systems={"a"}))  # type: ignore[arg-type]


def test_meta_evaluate_same_seed_gives_the_same() -> None:
    one, other, third = (meta_evaluate(SCORES, make_ratings(), items=ITEMS, draws=20, seed=s) for s in (1, 1, 2))
    assert one == other
    assert one != third


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"draws": 1}, ConfigError, "draws = 1"),
        ({"confidence": 1.0}, ConfigError, "level 1.0"),
        ({"num_folds": 1}, ConfigError, "num_folds = 1"),
        ({"leave_out_systems": ["delta"]}, DataError, "system 'delta'"),
        ({"leave_out_systems": SYSTEMS}, DataError, "no rated item is left"),
        ({"items": ITEMS, "level": EvaluationLevel.DIALOGUE}, DataError, "no rated item is left at level 'dialogue'"),
        ({"dimensions": {"content": "Depth"}}, DataError, "'content' to 'Depth' joins none"),
        ({"dimensions": {"depth": "Content"}}, DataError, "'depth' to 'Content' joins none"),
        ({"dimensions": {}}, DataError, "say which belong together"),
    ],
)
def test_meta_evaluate_bad_settings_are_refused(
    change: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        meta_evaluate(SCORES, make_ratings(), **{"draws": 10, **change})  # type: ignore[arg-type]


def test_meta_evaluate_bad_judges_are_refused() -> None:
    good = plain_scores("J", SCORES)
    with pytest.raises(DataError, match="two judges are named 'J'"):
        meta_evaluate([good, good], make_ratings())
    with pytest.raises(DataError, match="J scores depth, people rated Content, Grammar"):
        meta_evaluate(plain_scores("J", {"a": {"depth": 1.0}}), make_ratings())
    with pytest.raises(DataError, match="'good' is a word"):
        meta_evaluate({IDS[0]: {"content": "good"}}, make_ratings())
    words = make_ratings(verdicts={"Content": ("bad", "good")})
    with pytest.raises(DataError, match="'fine' is none of bad, good"):
        meta_evaluate({IDS[0]: {"content": "fine"}}, words)
    with pytest.raises(DataError, match=r"1\.0 is a number, but people gave one of bad, good"):
        meta_evaluate({IDS[0]: {"content": 1.0}}, words)


@pytest.mark.parametrize("value", [1e308, -1e308, float("nan"), float("inf")])
def test_meta_evaluate_numbers_beyond_reckoning_name_item_and_dimension(value: float) -> None:
    with pytest.raises(DataError, match=rf"judge, item '{IDS[3]}', 'content': .* smaller scale"):
        meta_evaluate({**SCORES, IDS[3]: {"content": value}}, make_ratings(), draws=10)
    rated = RatedItem(id=IDS[3], ratings={"Content": (2.0, value, -value)})
    with pytest.raises(DataError, match=rf"people, item '{IDS[3]}', 'Content': .* smaller scale"):
        meta_evaluate(SCORES, make_ratings(items={**make_ratings().items, IDS[3]: rated}), draws=10)
