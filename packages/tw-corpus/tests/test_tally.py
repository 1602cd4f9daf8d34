import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tw_corpus._tally import (
    EXCERPT_CHARS,
    KEPT,
    NUM_CLUSTERS,
    NUM_NEAR,
    NUM_SAMPLES,
    Cluster,
    NearMiss,
    Tally,
    join_key,
    split_key,
    totals,
)
from twllm_types import ArtifactError

outcomes = st.sampled_from([KEPT, "min_han_chars", "max_url_share"])
documents = st.lists(st.tuples(st.integers(0, 200), outcomes), max_size=60)


def miss(number: int, margin: float) -> NearMiss:
    return NearMiss(
        margin=margin, id=str(number), source="in", rule="r", kept=True, value=1.0, threshold=1.0, excerpt=""
    )


def tally_of(rows: list[tuple[int, str]]) -> Tally:
    tally = Tally()
    for number, outcome in rows:
        tally.add_document(document_id=f"d{number}", source="in", genre="news", outcome=outcome, text="字" * number)
        tally.add_near(miss(number, number / 1_000))
        tally.num_records["in"] += 1
        tally.add_cluster(Cluster(size=2 + number % 20, id=f"d{number}", source="in"))
    return tally


def stored(tally: Tally) -> str:
    return json.dumps(tally.to_json(), sort_keys=True)


@given(documents, st.integers(0, 60))
def test_tally_does_not_depend_on_how_documents_were_cut_into_tasks(rows: list[tuple[int, str]], cut: int) -> None:
    whole, first, second = tally_of(rows), tally_of(rows[:cut]), tally_of(rows[cut:])
    assert stored(first.merged(second)) == stored(whole)
    assert stored(second.merged(first)) == stored(whole)


@given(documents)
def test_tally_through_json_comes_back_equal(rows: list[tuple[int, str]]) -> None:
    tally = tally_of(rows)
    assert Tally.from_json(json.loads(stored(tally))) == tally


@given(documents)
def test_merged_leaves_its_parts_as_they_were(rows: list[tuple[int, str]]) -> None:
    part = tally_of(rows)
    before = stored(part)
    part.merged(part)
    assert stored(part) == before


def test_samples_and_near_documents_are_bounded_and_the_nearest_stay() -> None:
    tally = tally_of([(number, KEPT) for number in range(100)])
    assert len(tally.samples[KEPT]) == NUM_SAMPLES
    assert [entry.id for entry in tally.near["r"]] == [str(number) for number in range(NUM_NEAR)]


def test_clusters_are_all_counted_and_the_largest_stay_with_their_document() -> None:
    tally = tally_of([(number, KEPT) for number in range(40)])
    assert tally.cluster_sizes == dict.fromkeys(map(str, range(2, 22)), 2)
    assert len(tally.clusters) == NUM_CLUSTERS
    assert [(cluster.size, cluster.id) for cluster in tally.clusters[:3]] == [(21, "d19"), (21, "d39"), (20, "d18")]


def test_a_document_far_from_the_threshold_is_not_near() -> None:
    tally = Tally()
    tally.add_near(miss(1, 0.5))
    assert tally.near == {}


def test_a_sample_holds_the_beginning_of_the_text_and_its_whole_length() -> None:
    tally = Tally()
    tally.add_document(document_id="d", source="in", genre="-", outcome=KEPT, text="字" * 5_000)
    (sample,) = tally.samples[KEPT]
    assert (len(sample.excerpt), sample.num_chars) == (EXCERPT_CHARS, 5_000)


def test_totals_sum_over_the_other_parts_of_the_key() -> None:
    counts = {join_key("a", "x"): 1, join_key("a", "y"): 2, join_key("b", "x"): 4}
    assert totals(counts, 0) == {("a",): 3, ("b",): 4}
    assert totals(counts, 1) == {("x",): 5, ("y",): 2}
    assert totals({}, 0) == {}


def test_key_parts_with_a_tab_do_not_break_the_key() -> None:
    assert split_key(join_key("a\tb", "c")) == ("a b", "c")


@pytest.mark.parametrize("row", [{}, {"num_documents": 3}, {"num_documents": {}, "samples": []}])
def test_stored_counts_of_another_version_are_refused(row: dict[str, object]) -> None:
    with pytest.raises(ArtifactError, match="not of this version"):
        Tally.from_json(row)


def test_samples_and_near_documents_hold_no_personal_data() -> None:
    tally = Tally()
    # the value stands across the end of the excerpt, where a cut half could not be told as one
    text = "字" * (EXCERPT_CHARS - 6) + "0940-000-118，請洽wu@example.tw。"
    tally.add_document(document_id="d", source="in", genre="-", outcome=KEPT, text=f"洽wu@example.tw，{text}")
    tally.add_near(replace(miss(1, 0.0), excerpt=text))
    ((sample,), (near,)) = (tally.samples[KEPT], tally.near["r"])
    assert sample.excerpt.startswith("洽[遮蔽:電子郵件]，字")
    assert near.excerpt.endswith("字[遮蔽:手機號碼]")
    assert "094" not in sample.excerpt + near.excerpt
