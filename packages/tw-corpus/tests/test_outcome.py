"""What a curation says about itself: account, summary, card, report."""

import json
from typing import Any

import pytest

from tw_corpus._card import render_card
from tw_corpus._report import render_curation_report
from tw_corpus._summary import CurationCounts, account, genre_pass_rates, summarize
from tw_corpus._tally import EXACT_DUPLICATE, KEPT, NearMiss, Tally, join_key
from twllm_types import JsonObject, RunError, RunManifest

HOSTILE = "</script><img src=x onerror=alert(1)>{{ 7 * 7 }}這段文字想要變成程式。"


def add(tally: Tally, number: int, outcome: str, genre: str = "news", text: str = "好文章") -> None:
    tally.add_document(document_id=f"{outcome}-{number}", source="a.jsonl", genre=genre, outcome=outcome, text=text)


@pytest.fixture
def stages() -> tuple[Tally, Tally]:
    filtered, written = Tally(), Tally()
    filtered.num_records["a.jsonl"] = 8
    filtered.faults[join_key("a.jsonl", "invalid_json")] = 1
    filtered.ignored[join_key("a.jsonl", "blank_line")] = 1
    filtered.encodings[join_key("cp950", "meta")] = 2
    add(filtered, 1, "min_han_chars", text=HOSTILE)
    add(filtered, 2, "max_url_share", genre="forum")
    filtered.add_near(
        NearMiss(
            margin=0.01,
            id="near-1",
            source="a.jsonl",
            rule="min_han_chars",
            kept=False,
            value=19,
            threshold=20,
            excerpt=HOSTILE,
        )
    )
    for number in range(3):
        add(written, number, KEPT)
    add(written, 9, EXACT_DUPLICATE)
    return filtered, written


def manifest(**recipe: Any) -> RunManifest:
    parameters: JsonObject = {
        "recipe": {
            "description": "測試用",
            "rules": {"min_han_chars": 20},
            "output_format": "parquet",
            "pii": None,
            **recipe,
        }
    }
    return RunManifest(
        schema_version=1,
        command="tw-corpus curate",
        parameters=parameters,
        packages={"tw-corpus": "0.1.0"},
        hardware={},
        started_at="2026-01-01T00:00:00+00:00",
    )


def summary_of(filtered: Tally, written: Tally) -> JsonObject:
    counts = account(filtered, written)
    summary = summarize(filtered.merged(written), counts, files=(), num_tasks=1, seconds=2.0)
    return {**summary, "contamination": []}


def test_account_adds_up_to_the_records(stages: tuple[Tally, Tally]) -> None:
    assert account(*stages) == CurationCounts(
        num_records=8,
        num_kept=3,
        num_rejected=2,
        num_unmeasured=0,
        num_duplicates=1,
        num_near_duplicates=0,
        num_faults=1,
        num_ignored=1,
    )


@pytest.mark.parametrize("num_records", [7, 9])
def test_account_that_does_not_add_up_is_an_error(stages: tuple[Tally, Tally], num_records: int) -> None:
    stages[0].num_records["a.jsonl"] = num_records
    with pytest.raises(RunError, match=f"{num_records} records were read but 8 are accounted for"):
        account(*stages)


def test_genre_pass_rate_counts_duplicates_as_passed(stages: tuple[Tally, Tally]) -> None:
    rates = genre_pass_rates(stages[0].merged(stages[1]))
    assert (rates["news"].mean, rates["news"].n) == (0.8, 5)
    assert (rates["forum"].mean, rates["forum"].n) == (0.0, 1)
    assert rates["news"].ci_low is not None


def test_summary_is_json_and_its_funnel_holds_every_outcome(stages: tuple[Tally, Tally]) -> None:
    summary: Any = json.loads(json.dumps(summary_of(*stages)))
    assert {row["outcome"]: row["count"] for row in summary["funnel"]} == {
        KEPT: 3,
        EXACT_DUPLICATE: 1,
        "min_han_chars": 1,
        "max_url_share": 1,
    }
    assert summary["faults"] == [{"input": "a.jsonl", "reason": "invalid_json", "count": 1}]


def test_report_shows_hostile_text_as_text(stages: tuple[Tally, Tally]) -> None:
    page = render_curation_report(manifest(), summary_of(*stages), stages[0].merged(stages[1]))
    assert "<img src=x" not in page
    assert "{{ 7 * 7 }}" in page
    assert "near-1" in page
    assert "cp950" in page


def test_report_masks_personal_data_in_ids_and_file_names() -> None:
    written = Tally()
    written.add_document(
        document_id="wu@example.tw",
        source="0940-000-118.txt",
        genre="-",
        outcome="min_x",
        text="文",
        detail="li@example.tw",
    )
    page = render_curation_report(manifest(), summary_of(Tally(), Tally()), written)
    assert "[遮蔽:電子郵件]" in page
    assert not [value for value in ("wu@example.tw", "li@example.tw", "0940-000-118") if value in page]


def test_report_of_a_run_without_documents_says_so() -> None:
    empty = Tally()
    page = render_curation_report(manifest(), summary_of(empty, empty), empty)
    assert "No document could be read." in page
    assert "No document lies within a tenth of a threshold." in page


def test_report_shows_the_largest_inputs_and_says_how_many_there_are() -> None:
    written = Tally()
    for number in range(60):
        written.add_document(document_id=str(number), source=f"{number}.jsonl", genre="-", outcome=KEPT, text="文")
        written.num_records[f"{number}.jsonl"] += 1
    filtered = Tally(num_records=written.num_records.copy())
    page = render_curation_report(manifest(), summary_of(filtered, written), written)
    assert "the 40 largest of 60 inputs" in page


def test_card_holds_counts_rules_and_how_to_load(stages: tuple[Tally, Tally]) -> None:
    card = render_card(manifest(), summary_of(*stages))
    assert "data_files: documents/*.parquet" in card
    assert "n<1K" in card
    assert '"min_han_chars": 20' in card
    assert "| kept | 3 | 9 |" in card
    assert "Name it here before you share this set." in card


def test_card_of_jsonl_shards_names_them(stages: tuple[Tally, Tally]) -> None:
    assert "documents/*.jsonl.gz" in render_card(manifest(output_format="jsonl"), summary_of(*stages))


def test_card_of_a_large_set_names_its_size() -> None:
    written = Tally()
    written.num_documents[join_key("a", "-", KEPT)] = written.num_chars[join_key("a", "-", KEPT)] = 2 * 10**9
    filtered = Tally()
    filtered.num_records["a"] = 2 * 10**9
    assert "- n>1B" in render_card(manifest(), summary_of(filtered, written))
