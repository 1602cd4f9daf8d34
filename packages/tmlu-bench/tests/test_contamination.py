import gzip
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import FakeEngine, make_question, make_set

from tmlu_bench._contamination import (
    ContaminationResult,
    area_under_curve,
    compare_sets,
    mean_logprob,
    min_k,
    min_k_plus_plus,
    option_order_test,
    zlib_score,
)
from tmlu_bench._contamination_overlap import NgramIndex, comparable
from tmlu_bench._contamination_run import (
    ContaminationInputs,
    ContaminationSettings,
    read_tw_corpus_file,
    run_contamination,
)
from tmlu_bench._contamination_texts import corpus_files, other_orders, question_text, read_corpus
from twllm_runs import open_progress
from twllm_types import ConfigError, DataError, EngineFailure, EstimateUnit, FailureKind

LOGPROBS = st.lists(st.floats(-50, 0), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.2, -5.0), (0.4, (-5 - 4) / 2), (0.41, (-5 - 4 - 3) / 3), (1.0, -3.0), (0.01, -5.0)]
)
def test_min_k_takes_the_least_tokens_rounded_up(share: float, expected: float) -> None:
    assert min_k([-1.0, -5.0, -2.0, -4.0, -3.0], share) == pytest.approx(expected)


@given(LOGPROBS)
def test_min_k_of_all_tokens_is_the_mean_and_grows_with_the_share(logprobs: list[float]) -> None:
    assert min_k(logprobs, 1.0) == pytest.approx(mean_logprob(logprobs))
    assert min_k(logprobs, 0.2) <= min_k(logprobs, 0.6) + 1e-9


def test_min_k_plus_plus_standardises_each_token() -> None:
    score = min_k_plus_plus([-1.0, -4.0, -2.0], [-2.0, -2.0, -2.0], [1.0, 2.0, 0.0], 0.5)
    assert score == pytest.approx(-1.0)


def test_min_k_plus_plus_without_spread_is_refused() -> None:
    with pytest.raises(DataError, match="standard deviation 0"):
        min_k_plus_plus([-1.0], [-1.0], [0.0], 0.2)
    with pytest.raises(DataError, match="1, 2 and 1 entries"):
        min_k_plus_plus([-1.0], [-1.0, -2.0], [0.0], 0.2)


def test_zlib_score_divides_by_the_compressed_length() -> None:
    text = "甲乙丙丁" * 5
    assert zlib_score(text, [-2.0, -4.0]) == pytest.approx(-3.0 / len(zlib.compress(text.encode())))


def test_scores_without_tokens_or_with_a_wrong_share_are_refused() -> None:
    with pytest.raises(DataError, match="has no token"):
        mean_logprob([])
    with pytest.raises(ConfigError, match="must lie in"):
        min_k([-1.0], 0.0)


def test_order_test_of_a_memorised_order_is_significant() -> None:
    test = option_order_test([[-1.0, -5.0, -6.0, -7.0]] * 30, seed=0)
    assert (test.canonical_first.mean, test.test.statistic, test.chance) == (1.0, 1.0, 0.25)
    assert test.test.p_value == pytest.approx(1 / 10_001)


def test_order_test_under_the_null_rejects_at_its_level() -> None:
    rng = np.random.default_rng(1)
    p_values = [
        option_order_test(rng.normal(size=(20, 5)).tolist(), seed=k, draws=400).test.p_value for k in range(300)
    ]
    # Ties count as hits, so the test is a little on the safe side.
    assert np.mean(np.array(p_values) < 0.1) < 0.14
    assert 0.45 < np.mean(p_values) < 0.6


def test_order_test_of_equal_orders_stands_in_the_middle() -> None:
    test = option_order_test([[-1.0, -1.0]] * 4, seed=0)
    assert (test.test.statistic, test.test.p_value, test.canonical_first.mean) == (0.5, 1.0, 0.5)


@pytest.mark.parametrize("orders", [[], [[-1.0]]])
def test_order_test_without_other_orders_is_refused(orders: list[list[float]]) -> None:
    with pytest.raises(DataError, match="one other at least"):
        option_order_test(orders, seed=0)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_area_under_curve_is_mann_whitneys_statistic(first: list[int], second: list[int]) -> None:
    expected = mannwhitneyu(first, second).statistic / (len(first) * len(second))
    assert area_under_curve([float(x) for x in first], [float(x) for x in second]) == pytest.approx(expected)


def test_sets_beside_each_other_have_an_interval_and_no_verdict() -> None:
    row = compare_sets("s", [1.0, 2.0, 3.0], [0.0, 1.5, 2.5], unit=EstimateUnit.NATS, seed=0, num_unscored=2)
    assert row.auc is not None
    assert (row.suspects.mean, row.suspects.num_unscored, row.auc.mean) == (2.0, 2, pytest.approx(6 / 9))
    assert row.auc.ci_low is not None


def test_set_without_control_has_no_comparison() -> None:
    row = compare_sets("s", [1.0, 2.0], None, unit=EstimateUnit.NATS, seed=0)
    assert (row.controls, row.auc) == (None, None)


def test_set_with_one_control_text_has_no_interval() -> None:
    row = compare_sets("s", [1.0, 2.0], [0.0], unit=EstimateUnit.NATS, seed=0)
    assert row.auc is not None
    assert (row.auc.mean, row.auc.ci_low) == (1.0, None)


def test_overlap_finds_a_copy_through_width_case_and_spaces() -> None:
    index = NgramIndex({"a": "臺灣最高的山是玉山，ABC 3952。"}, 6)
    index.look_in("有人說：臺灣 最高的山\n是玉山，ａｂｃ３９５２！")
    assert index.overlaps()["a"].coverage == 1.0


def test_overlap_of_a_part_is_the_share_of_characters_under_it() -> None:
    index = NgramIndex({"a": "甲乙丙丁戊己庚辛壬癸"}, 3)
    index.look_in("乙丙丁戊")
    overlap = index.overlaps()["a"]
    assert (overlap.num_ngrams, overlap.num_found, overlap.coverage) == (8, 2, 0.4)


def test_overlap_of_a_short_text_is_unknown() -> None:
    assert NgramIndex({"a": "甲乙"}, 3).overlaps()["a"].coverage is None


@given(st.text(min_size=5), st.text(), st.text())
def test_overlap_with_a_text_that_holds_it_is_whole(text: str, before: str, after: str) -> None:
    index = NgramIndex({"a": text}, 4)
    index.look_in(text)
    overlap = index.overlaps()["a"]
    assert overlap.coverage in (None, 1.0)
    assert (overlap.coverage is None) == (len(comparable(text)) < 4)


def test_ngrams_of_no_characters_are_refused() -> None:
    with pytest.raises(ConfigError, match="n-grams of 0"):
        NgramIndex({}, 0)


def test_other_orders_are_distinct_and_keep_all_of_the_above() -> None:
    question = make_question("s", 1)
    orders = other_orders(question, count=6, seed=0)
    assert len({order.options for order in orders} | {question.options}) == 7
    two = other_orders(make_question("s", 1, num_options=2), count=6, seed=0)
    assert len(two) == 1


def test_question_text_is_stem_and_options_without_answer() -> None:
    assert question_text(make_question("s", 0, num_options=2)).splitlines()[1:] == [
        "(A) 第0題的選項甲",
        "(B) 第0題的選項申"[:-1] + chr(0x7533),
    ]


def test_corpus_of_all_formats_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "一"}) + "\n", encoding="utf-8")
    with gzip.open(tmp_path / "b.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"text": "二"}) + "\n")
    pq.write_table(pa.table({"text": ["三", "四"]}), tmp_path / "c.parquet")
    (tmp_path / "d.txt").write_text("\ufeff五", encoding="utf-8")
    (tmp_path / "e.md").write_text("不讀", encoding="utf-8")
    assert list(read_corpus(corpus_files(tmp_path))) == ["一", "二", "三", "四", "五"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"{\n", r"a\.jsonl:1: is not JSON"),
        ("a.jsonl", b'{"text": "a", "text": "b"}\n', r"a\.jsonl:1: .*'text' comes twice"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: is not JSON"),
        ("a.jsonl", b'{"body": "x"}\n', r"a\.jsonl:1: has no text in 'text'"),
        ("a.txt", b"\xff", r"a\.txt: byte 0 is not UTF-8"),
        ("a.parquet", b"no", r"a\.parquet: is no Parquet file"),
    ],
)
def test_corpus_that_cannot_be_read_names_its_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_corpus(corpus_files(tmp_path)))


@pytest.mark.parametrize(
    ("table", "message"),
    [({"body": ["x"]}, "has no column 'text'"), ({"text": ["x", None]}, "row 2 of 'text' is None")],
)
def test_parquet_without_texts_is_refused(tmp_path: Path, table: dict, message: str) -> None:
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        list(read_corpus(corpus_files(tmp_path)))


def test_corpus_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no"):
        corpus_files(tmp_path)


def look(output: Path, settings: ContaminationSettings | None = None, **inputs) -> ContaminationResult:
    with open_progress(quiet=True) as progress:
        return run_contamination(
            ContaminationInputs(questions=make_set({"s": 4}), **inputs),
            settings or ContaminationSettings(num_orders=3),
            output=output,
            progress=progress,
        )


def test_job_with_a_model_and_a_control_set_gives_every_score_beside_it(tmp_path: Path) -> None:
    result = look(tmp_path / "run", engine=FakeEngine(), control=make_set({"new": 3}))
    assert [row.score for row in result.scores] == [
        "mean_logprob",
        "zlib",
        "min_k_10",
        "min_k_plus_plus_10",
        "min_k_20",
        "min_k_plus_plus_20",
        "min_k_30",
        "min_k_plus_plus_30",
    ]
    assert all((row.suspects.n, row.controls and row.controls.n) == (4, 3) for row in result.scores)
    assert all(row.auc is not None for row in result.scores)
    assert {name: test.test.n for name, test in result.order_tests.items()} == {"questions": 4, "control": 3}
    assert "No figure here is a verdict" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_job_found_finished_or_continued_gives_the_same(tmp_path: Path) -> None:
    whole = look(tmp_path / "run", engine=FakeEngine())

    class Tired(FakeEngine):
        def sequence_logprobs(self, texts):
            if self.asked:
                raise KeyboardInterrupt
            return super().sequence_logprobs(texts)

    settings = ContaminationSettings(num_orders=30)
    with pytest.raises(KeyboardInterrupt):
        look(tmp_path / "other", settings, engine=Tired())
    continued, undisturbed = (look(tmp_path / name, settings, engine=FakeEngine()) for name in ("other", "third"))
    assert continued == undisturbed
    engine = FakeEngine()
    assert look(tmp_path / "run", engine=engine) == whole
    assert engine.asked == []


def test_job_with_texts_that_cannot_be_scored_counts_them(tmp_path: Path) -> None:
    result = look(tmp_path / "run", engine=FakeEngine(fails=lambda text: text.startswith("第1題")))
    assert result.num_failures == 4
    assert result.scores[0].suspects.n == 3


def test_job_counts_what_could_not_be_scored_in_each_set_by_itself(tmp_path: Path) -> None:
    class Picky(FakeEngine):
        def sequence_logprobs(self, texts):
            answers = super().sequence_logprobs(texts)
            # Other orders of a question fail too, which says nothing of the scores of the texts as they are.
            return [
                EngineFailure(kind=FailureKind.TIMEOUT, message="late")
                if text.startswith("第1題") or (text.startswith("第2題") and "(A) 第2題的選項甲" not in text)
                else answer
                for text, answer in zip(texts, answers, strict=True)
            ]

    one = make_set({"new": 1})
    control = replace(
        one, subjects=(replace(one.subjects[0], test=(make_question("new", 1), make_question("new", 9))),)
    )
    result = look(tmp_path / "run", engine=Picky(), control=control)
    for row in result.scores:
        assert (row.suspects.n, row.suspects.num_unscored) == (3, 1)
        assert row.controls is not None
        assert (row.controls.n, row.controls.num_unscored) == (1, 1)
    assert result.num_failures > 8


def test_job_whose_control_cannot_be_scored_says_so(tmp_path: Path) -> None:
    engine = FakeEngine(fails=lambda text: "第9題" in text)
    one = make_set({"new": 1})
    control = replace(one, subjects=(replace(one.subjects[0], test=(make_question("new", 9),)),))
    row = look(tmp_path / "run", engine=engine, control=control).scores[0]
    assert row.controls is not None
    assert (row.controls.n, row.controls.num_unscored, row.auc) == (0, 1, None)


def test_job_with_a_corpus_finds_what_was_copied(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    leaked = question_text(make_question("s", 2))
    (tmp_path / "corpus" / "page.jsonl").write_text(json.dumps({"text": f"前{leaked}後"}) + "\n", encoding="utf-8")
    result = look(tmp_path / "run", corpus=tmp_path / "corpus")
    assert result.overlap is not None
    assert (result.overlap.fully_covered.mean, result.overlap.fully_covered.n) == (0.25, 4)
    rows = [json.loads(line) for line in (tmp_path / "run" / "overlap.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["item"]: row["coverage"] for row in rows}["s/s-2"] == 1.0


def test_job_with_a_file_of_tw_corpus_counts_its_outcomes(tmp_path: Path) -> None:
    path = tmp_path / "contamination.jsonl"
    rows = [
        {"schema_version": 1, "benchmark": "b", "item": str(k), "outcome": outcome, "num_documents": 0, "documents": []}
        for k, outcome in enumerate(["clean", "found", "clean"])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    result = look(tmp_path / "run", tw_corpus_file=path)
    assert result.found_by_tw_corpus == {"b": {"clean": 2, "found": 1, "too_short": 0}}


def test_job_with_another_file_in_its_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"schema_version": 2, "outcome": "clean", "item": "1"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl:1: is no line of tw-corpus"):
        read_tw_corpus_file(path)


def test_job_with_nothing_to_look_at_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to look at"):
        look(tmp_path / "run")


@pytest.mark.parametrize("change", [{"shares": ()}, {"shares": (2.0,)}, {"num_orders": -1}, {"ngram_chars": 0}])
def test_job_settings_out_of_range_are_refused(change: dict) -> None:
    with pytest.raises(ConfigError):
        ContaminationSettings(**change)
