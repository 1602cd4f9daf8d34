"""Redacting files, and the datatrove block."""

import gzip
import json
from collections import Counter

import pytest
from datatrove.data import Document

from tw_corpus._pii import PiiKind
from tw_corpus._pii._job import RedactionCounts, read_key, redact_file
from tw_corpus._records import FaultReason
from tw_corpus.blocks._redact import Redact
from twllm_types import ConfigError, DataError, RunError

KEY = b"sixteen bytes ok"


def write_lines(path, *lines: object) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


def read_lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_redact_file_jsonl_masks_text_and_keeps_other_fields(tmp_path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_lines(source, {"id": "甲", "text": "手機0940-000-118、0940-000-236"}, {"id": "乙", "text": "沒有", "n": 1.5})
    counts = redact_file(source, output)
    assert read_lines(output) == [
        {"id": "甲", "text": "手機[遮蔽:手機號碼]、[遮蔽:手機號碼]"},
        {"id": "乙", "text": "沒有", "n": 1.5},
    ]
    assert counts == RedactionCounts(num_records=2, num_with_findings=1, num_findings={PiiKind.MOBILE: 2}, faults={})
    assert counts.num_faults == 0


def test_redact_file_of_several_fields(tmp_path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_lines(source, {"title": "洽wu@example.tw", "text": "0940-000-118"}, {"text": "無", "title": None})
    counts = redact_file(source, output, text_fields=("text", "title"))
    assert read_lines(output)[0] == {"title": "洽[遮蔽:電子郵件]", "text": "[遮蔽:手機號碼]"}
    assert counts.num_findings == {PiiKind.EMAIL: 1, PiiKind.MOBILE: 1}
    assert counts.num_with_findings == 1


def test_redact_file_tag_writes_offsets_but_no_value(tmp_path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_lines(source, {"text": "洽wu@example.tw"}, {"text": "無"})
    redact_file(source, output, mode="tag")
    first, second = read_lines(output)
    assert first == {"text": "洽wu@example.tw", "pii": [{"field": "text", "kind": "email", "start": 1, "end": 14}]}
    assert second["pii"] == []


def test_redact_file_tag_refuses_a_record_that_has_the_field_already(tmp_path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_lines(source, {"text": "無"}, {"text": "洽wu@example.tw", "pii": "reviewed"})
    with pytest.raises(DataError, match=r"in\.jsonl:2: has a field 'pii' already.*rename it") as caught:
        redact_file(source, output, mode="tag")
    assert "reviewed" not in str(caught.value)
    assert not output.exists()
    assert redact_file(source, output).num_records == 2


@pytest.mark.parametrize("mode", ["mask", "tag"])
def test_redact_file_writes_numbers_of_any_size_as_they_are(tmp_path, mode) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    numbers = "[123456789012345678901234567890,-99999999999999999999,1e400,1.5]"
    source.write_text(f'{{"text":"無","n":{numbers},"long":{"9" * 5000}}}\n', encoding="utf-8")
    redact_file(source, output, mode=mode)
    written = output.read_text(encoding="utf-8")
    assert f'"n":{numbers},"long":{"9" * 5000}' in written


def test_redact_file_number_in_the_place_of_the_text_is_a_fault_whatever_its_size(tmp_path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": 123456789012345678901234567890}\n', encoding="utf-8")
    assert redact_file(source, tmp_path / "out.jsonl").faults == {FaultReason.TEXT_NOT_STRING: 1}


def test_redact_file_pseudonymises_consistently(tmp_path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write_lines(source, {"text": "0940-000-118"}, {"text": "0940-000-118"})
    redact_file(source, output, mode="pseudonymise", key=KEY)
    first, second = read_lines(output)
    assert first == second
    assert first["text"].startswith("094")
    assert first["text"] != "0940-000-118"


def test_redact_file_text_keeps_lines(tmp_path) -> None:
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes("手機0940-000-118\r\n\n沒有\n末行0940-000-236".encode())
    counts = redact_file(source, output)
    assert output.read_bytes().decode() == "手機[遮蔽:手機號碼]\r\n\n沒有\n末行[遮蔽:手機號碼]\n"
    assert counts.num_records == 3


def test_redact_file_reads_compressed_input(tmp_path) -> None:
    source, output = tmp_path / "in.jsonl.gz", tmp_path / "out.jsonl"
    with gzip.open(source, "wt", encoding="utf-8") as file:
        file.write('\ufeff{"text": "0940-000-118"}\n')
    assert redact_file(source, output).num_findings == {PiiKind.MOBILE: 1}


def test_redact_file_leaves_out_and_counts_what_it_cannot_read(tmp_path) -> None:
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    good = b'{"text": "0940-000-118 \\ud83d"}\n'
    bad = [
        b"not json 0940-000-118\n",
        b"[1]\n",
        b'{"t": "x"}\n',
        b'{"text": 5}\n',
        b"\xa4\xa4\n",
        b'{"text": "' + b"x" * 99 + b'"}\n',
    ]
    source.write_bytes(b"\n" + good + b"".join(bad))
    counts = redact_file(source, output, max_line_bytes=90)
    assert output.read_text(encoding="utf-8") == '\n{"text":"[遮蔽:手機號碼] \ufffd"}\n'
    assert counts.faults == {
        FaultReason.INVALID_JSON: 1,
        FaultReason.NOT_AN_OBJECT: 1,
        FaultReason.MISSING_TEXT: 1,
        FaultReason.TEXT_NOT_STRING: 1,
        FaultReason.UNDECODABLE: 1,
        FaultReason.RECORD_TOO_LARGE: 1,
    }
    assert counts.num_faults == 6
    text = tmp_path / "in.txt"
    text.write_bytes(b"\xa4\xa4\n0940-000-118\n")
    assert redact_file(text, tmp_path / "out.txt").faults == {FaultReason.UNDECODABLE: 1}


@pytest.mark.parametrize(
    ("source", "output", "arguments", "message"),
    [
        ("in.html", "out.html", {}, "is neither .jsonl, .ndjson nor .txt"),
        ("in.dat", "out.dat", {}, "is neither .jsonl, .ndjson nor .txt"),
        ("in.jsonl", "out.txt", {}, "the output is plain jsonl"),
        ("in.jsonl", "out.jsonl.gz", {}, "the output is plain jsonl"),
        ("in.jsonl", "in.jsonl", {}, "is the input"),
        ("in.txt", "out.txt", {"mode": "tag"}, "give a .jsonl file"),
        ("in.jsonl", "out.jsonl", {"mode": "hide"}, "is unknown"),
        ("in.jsonl", "out.jsonl", {"kinds": ["x"]}, "are unknown"),
        ("in.jsonl", "out.jsonl", {"mode": "pseudonymise"}, "needs a key"),
        ("in.jsonl", "out.jsonl", {"text_fields": ()}, "text_fields is empty"),
    ],
)
def test_redact_file_refuses_unusable_arguments(tmp_path, source, output, arguments, message) -> None:
    write_lines(tmp_path / source, {"text": "0940-000-118"})
    with pytest.raises(ConfigError, match=message):
        redact_file(tmp_path / source, tmp_path / output, **arguments)
    assert [path.name for path in tmp_path.iterdir()] == [source]


def test_redact_file_unreadable_input_leaves_no_output(tmp_path) -> None:
    with pytest.raises(DataError, match=r"in\.jsonl: cannot be read \(No such file"):
        redact_file(tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    damaged = tmp_path / "in.jsonl.gz"
    damaged.write_bytes(gzip.compress(b'{"text": "a"}\n' * 500)[:-12])
    with pytest.raises(DataError, match="give an undamaged file"):
        redact_file(damaged, tmp_path / "out.jsonl")
    write_lines(tmp_path / "in.jsonl", {"text": "a"})
    with pytest.raises(RunError, match="create the folder"):
        redact_file(tmp_path / "in.jsonl", tmp_path / "nowhere" / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_read_key_strips_the_line_end_and_shows_nothing(tmp_path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\r\n")
    assert read_key(path) == KEY
    path.write_bytes(b"short\n")
    with pytest.raises(ConfigError, match="holds 5 bytes; write at least 16") as caught:
        read_key(path)
    assert "short" not in str(caught.value)
    with pytest.raises(ConfigError, match="the key cannot be read"):
        read_key(tmp_path / "none")


def test_block_masks_and_counts() -> None:
    counts: Counter[str] = Counter()
    block = Redact(counts=counts)
    documents = list(block.run([Document(text="0940-000-118 洽wu@example.tw", id="1"), Document(text="無", id="2")]))
    assert [document.text for document in documents] == ["[遮蔽:手機號碼] 洽[遮蔽:電子郵件]", "無"]
    assert counts == {"mobile": 1, "email": 1}
    assert block.stats["mobile"].total == 1
    assert documents[0].metadata == {}


def test_block_tags_in_metadata() -> None:
    (document, other) = Redact("tag", kinds=["email"]).run(
        [Document(text="0940-000-118 洽wu@example.tw", id="1"), Document(text="無", id="2")]
    )
    assert document.metadata == {"pii": [{"kind": "email", "start": 14, "end": 27}]}
    assert other.metadata == {}
    assert list(Redact().run(None)) == []


def test_block_pseudonymises_and_holds_no_key(tmp_path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    block = Redact("pseudonymise", key_file=path)
    (document,) = block.run([Document(text="0940-000-118", id="1")])
    assert document.text.startswith("094")
    assert document.text != "0940-000-118"
    assert KEY.decode() not in str(vars(block))
    with pytest.raises(ConfigError, match="needs a key file"):
        Redact("pseudonymise")
