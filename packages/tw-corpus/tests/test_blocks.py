"""The datatrove blocks by themselves, as another project would use them."""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from datatrove.data import Document

from tw_corpus import QualityRules, Variant
from tw_corpus._contamination import DecontaminationOptions
from tw_corpus._tally import Tally
from tw_corpus._variant_options import VariantOptions
from tw_corpus.blocks import (
    ClassifyVariant,
    CorpusReader,
    Decontaminate,
    Normalize,
    Publish,
    Published,
    QualityFilter,
    ReadShard,
    Redact,
    RejectedWriter,
    StripBoilerplate,
    fault_line,
    read_tally,
)
from tw_corpus.readers import Fault, FaultReason, ReadOptions, find_inputs
from twllm_types import ArtifactError, ConfigError

TEXT = "河邊的步道整修好了，早上有許多人來散步，也有人帶著狗慢慢地走，看起來都很開心。"


def document(name: str, text: str) -> Document:
    return Document(id=name, text=text)


def test_blocks_chain_reads_normalises_and_filters(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        json.dumps({"id": "1", "text": TEXT.replace("，", "，\u200b") + "ＯＫ", "genre": "notice"})
        + "\n"
        + json.dumps({"id": "2", "text": "首頁"}),
        encoding="utf-8",
    )
    reader = CorpusReader([find_inputs([tmp_path]).files], ReadOptions(), tally=Tally())
    kept = list(QualityFilter(QualityRules()).run(Normalize().run(reader.run())))
    assert [(row.id, row.text) for row in kept] == [("1", TEXT + "OK")]
    assert kept[0].metadata["genre"] == "notice"
    assert kept[0].metadata["input"] == "a.jsonl"


def test_reader_passes_on_the_documents_of_the_step_before(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    reader = CorpusReader([find_inputs([tmp_path]).files], ReadOptions(), tally=Tally())
    assert [row.id for row in reader.run([document("earlier", TEXT)])] == ["earlier", "a.txt"]


def test_strip_boilerplate_counts_lines_by_rule() -> None:
    tally = Tally()
    (row,) = StripBoilerplate(tally=tally).run([document("1", f"{TEXT}\n請繼續往下閱讀\n{TEXT}")])
    assert row.text == f"{TEXT}\n{TEXT}"
    assert tally.boilerplate == {"continue_reading": 1}
    assert [row.text for row in StripBoilerplate().run([document("1", TEXT)])] == [TEXT]


def test_quality_filter_writes_rejected_documents_with_reason_and_measures(tmp_path: Path) -> None:
    writer = RejectedWriter(tmp_path)
    tally = Tally()
    kept = list(QualityFilter(QualityRules(), exclusion_writer=writer, tally=tally).run([document("1", "首頁")]))
    assert kept == []
    row = json.loads(gzip.decompress((tmp_path / "00000.jsonl.gz").read_bytes()))
    assert (row["reason"], row["value"], row["threshold"]) == ("min_han_chars", 2, 20)
    assert row["measures"]["num_chars"] == 2
    assert tally.scripts.total() == 1


def test_publish_moves_files_only_when_the_task_is_through(tmp_path: Path) -> None:
    attempt, final, tally = tmp_path / "attempt", tmp_path / "final", Tally()
    attempt.mkdir()
    (attempt / "00000.jsonl").write_text("x", encoding="utf-8")
    files = [
        Published(attempt=attempt, final=final, suffix=".jsonl"),
        Published(attempt=attempt / "none", final=final, suffix=".other"),
        Published(attempt=attempt / "kept", final=final / "kept", suffix=".jsonl.zst", always=True),
    ]
    run = Publish(files, tally_folder=final / "tally", tally=tally).run([document("1", TEXT)])
    next(run)
    assert not final.exists()
    assert list(run) == []
    assert sorted(path.relative_to(final).as_posix() for path in final.rglob("*") if path.is_file()) == [
        "00000.jsonl",
        "kept/00000.jsonl.zst",
        "tally/00000.json",
    ]
    assert list(ReadShard(final / "kept").run()) == []
    assert read_tally(final / "tally", 1) == tally


@pytest.mark.parametrize(
    "content", [None, b"not zstd", zstandard.compress(b"{broken\n"), zstandard.compress(b'{"text": "x"}\n')]
)
def test_read_shard_missing_or_damaged_says_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "00000.jsonl.zst").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"00000\.jsonl\.zst is missing or damaged"):
        list(ReadShard(tmp_path).run())


@pytest.mark.parametrize("content", [None, "{broken", "{}"])
def test_read_tally_missing_or_damaged_says_so(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "00000.json").write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError):
        read_tally(tmp_path, 1)


TAIWANESE = "我騎機車載妹妹去捷運站，順便到超商繳停車費，她說新的軟體跟影片品質都很好，網路也很順。"
CANTONESE = "佢哋話聽日先至嚟，我哋咪喺度等囉，唔使心急嘅，食咗飯先啦，你睇吓仲有冇嘢飲。"


def test_classify_variant_tags_every_document_and_drops_none_by_default() -> None:
    tally = Tally()
    rows = [document("1", TAIWANESE), document("2", CANTONESE), document("3", "🎉")]
    kept = list(ClassifyVariant(VariantOptions(), tally=tally).run(iter(rows)))
    assert [row.metadata["variant"] for row in kept] == ["zh-TW", "yue", "other"]
    assert all(0 <= row.metadata["converted_probability"] <= 1 for row in kept)
    assert tally.variants.total() == 3


def test_classify_variant_drops_what_a_recipe_does_not_keep() -> None:
    tally = Tally()
    options = VariantOptions(keep=(Variant.ZH_TW,), min_probability=0.5)
    kept = list(ClassifyVariant(options, tally=tally).run(iter([document("1", TAIWANESE), document("2", CANTONESE)])))
    assert [row.id for row in kept] == ["1"]
    assert list(tally.samples) == ["variant_yue"]


def test_classify_variant_drops_converted_text_where_asked_to() -> None:
    converted = "這個視頻的質量很高，用戶可以通過軟件默認的設置下載信息，服務器的帶寬也足夠支持網絡直播的數據。" * 3
    options = VariantOptions(keep_converted=False, min_probability=0.5)
    rows = [document("1", TAIWANESE), document("2", converted)]
    assert [row.id for row in ClassifyVariant(options).run(iter(rows))] == ["1"]


def test_variant_options_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="keep is empty"):
        VariantOptions(keep=())
    with pytest.raises(ConfigError, match="min_probability"):
        VariantOptions(min_probability=1.5)


def test_decontaminate_without_a_folder_for_hits_still_drops(tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    exam.write_text(json.dumps({"question": TEXT}), encoding="utf-8")
    rows = [document("1", "前言。" + TEXT), document("2", CANTONESE)]
    assert [row.id for row in Decontaminate([exam], DecontaminationOptions()).run(iter(rows))] == ["2"]


def test_decontaminate_hit_shows_no_personal_data(tmp_path: Path) -> None:
    exam = tmp_path / "exam.jsonl"
    exam.write_text(json.dumps({"question": "請寄信到wu@example.tw報名下週的遠足並寫明姓名"}), encoding="utf-8")
    block = Decontaminate([exam], DecontaminationOptions(), hits_folder=tmp_path / "hits")
    assert list(block.run([document("1", "請寄信到wu@example.tw報名下週的遠足並寫明姓名")])) == []
    (hit,) = map(json.loads, (tmp_path / "hits" / "00000.jsonl").read_text(encoding="utf-8").split("\n")[:-1])
    assert hit["text"] == "請寄信到[遮蔽:電子郵件]報名下週的遠足並寫明姓名"


def test_fault_line_masks_field_names() -> None:
    fault = Fault(path="a", position="line 1", reason=FaultReason.MISSING_TEXT, detail="the fields are 0940-000-118")
    assert json.loads(fault_line(fault))["detail"] == "the fields are [遮蔽:手機號碼]"


def test_reader_file_of_another_size_than_planned_is_one_fault(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "b.txt").write_text(TEXT, encoding="utf-8")
    files = find_inputs([tmp_path]).files
    (tmp_path / "a.txt").write_text(TEXT * 2, encoding="utf-8")
    tally = Tally()
    reader = CorpusReader([files], ReadOptions(), tally=tally, faults_folder=tmp_path / "faults")
    assert [row.id for row in reader.run()] == ["b.txt"]
    assert (tally.faults, tally.num_records.total()) == ({"a.txt\tchanged_file": 1}, 2)
    assert b"when the run was planned" in (tmp_path / "faults" / "00000.jsonl").read_bytes()


def test_reader_file_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    files = find_inputs([tmp_path]).files
    (tmp_path / "a.txt").unlink()
    tally = Tally()
    assert list(CorpusReader([files], ReadOptions(), tally=tally).run()) == []
    assert tally.faults == {"a.txt\tunreadable_file": 1}


def page(tmp_path: Path, title: str) -> list[Document]:
    (tmp_path / "a.html").write_text(f"<title>{title}</title><body><p>{TEXT}</p></body>", encoding="utf-8")
    return list(CorpusReader([find_inputs([tmp_path]).files], ReadOptions(), tally=Tally()).run())


def test_redact_treats_the_title_taken_from_a_page(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    pages = Normalize().run(page(tmp_path, "洽王先生０９４０\u200b-000-118"))
    (row,) = Redact(counts=counts).run(pages)
    assert row.metadata["title"] == "洽王先生[遮蔽:手機號碼]"
    assert counts == {"mobile": 1}


def test_redact_tags_the_title_taken_from_a_page(tmp_path: Path) -> None:
    (row,) = Redact("tag").run(page(tmp_path, "洽wu@example.tw"))
    assert row.metadata["title"] == "洽wu@example.tw"
    assert row.metadata["pii"] == [{"kind": "email", "start": 1, "end": 14, "field": "title"}]


def test_redact_leaves_the_title_that_is_a_field_of_the_input(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": TEXT, "title": "洽wu@example.tw"}), encoding="utf-8")
    rows = CorpusReader([find_inputs([tmp_path]).files], ReadOptions(), tally=Tally()).run()
    assert [row.metadata["title"] for row in Redact().run(rows)] == ["洽wu@example.tw"]


def test_redact_refuses_a_key_that_was_changed_since_it_was_made(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"one secret of a test, no more")
    block = Redact("pseudonymise", key_file=tmp_path / "key")
    (tmp_path / "key").write_bytes(b"another secret of a test")
    with pytest.raises(ConfigError, match="the key was changed during the run") as caught:
        list(block.run([document("1", TEXT)]))
    assert "secret" not in str(caught.value)
