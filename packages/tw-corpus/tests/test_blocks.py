"""The datatrove blocks by themselves, as another project would use them."""

import gzip
import json
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
    RejectedWriter,
    StripBoilerplate,
    read_tally,
)
from tw_corpus.readers import ReadOptions, find_inputs
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
