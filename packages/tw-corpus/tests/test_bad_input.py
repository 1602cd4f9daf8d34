"""Bad input through the command: the run goes on where it can, each case is counted, nothing written is lost."""

import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tw_corpus import QualityRules

COMMAND = Path(sys.executable).parent / "tw-corpus"
GOOD = "這是一段寫得清清楚楚的文字，用來確認壞掉的資料不會把好的資料一起帶走，長度也足夠通過規則。"
MEBIBYTE = 1024 * 1024


def line(name: str) -> bytes:
    return json.dumps({"id": name, "text": f"{GOOD}編號是{name}。"}, ensure_ascii=False).encode() + b"\n"


def truncated_gzip() -> bytes:
    # stored blocks, so that the lines before the cut can be told
    whole = gzip.compress(b"".join(line(f"cut-{number}") for number in range(400)), compresslevel=0, mtime=0)
    return whole[: len(whole) // 2]


def warc_record(body: bytes) -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://example.tw/\r\n"
    return head.encode() + f"Content-Length: {len(http)}".encode() + b"\r\n\r\n" + http + b"\r\n\r\n"


def page(name: str) -> bytes:
    return f"<html><head><title>{name}</title></head><body><p>{GOOD}編號是{name}。</p></body></html>".encode()


CASES: dict[str, tuple[bytes, list[tuple[str, str]], list[str]]] = {
    # file: (content, faults as (position, reason), ids that must be kept)
    "not_json.jsonl": (line("a1") + b"this is not JSON\n" + line("a2"), [("line 2", "invalid_json")], ["a1", "a2"]),
    "no_object.jsonl": (b"[1, 2]\n" + line("b1"), [("line 1", "not_an_object")], ["b1"]),
    "no_text.jsonl": (
        b'{"id": "x"}\n{"text": null}\n' + line("c1"),
        [("line 1", "missing_text"), ("line 2", "missing_text")],
        ["c1"],
    ),
    "text_is_number.jsonl": (b'{"text": 5}\n' + line("d1"), [("line 1", "text_not_string")], ["d1"]),
    "nul.jsonl": (line("e1") + b'{"text": "a\x00b"}\n' + line("e2"), [("line 2", "nul_byte")], ["e1", "e2"]),
    "mixed.jsonl": (
        line("f1") + '{"text": "大五碼"}\n'.encode("cp950")[:-4] + b'\xff\xff"}\n' + line("f2"),
        [("line 2", "undecodable")],
        ["f1", "f2"],
    ),
    "empty.jsonl": (b"", [("file", "empty_file")], []),
    "not_gzip.jsonl.gz": (line("g1"), [("file", "corrupt_archive")], []),
    "cut.parquet": (b"PAR1 and then nothing", [("file", "truncated_archive")], []),
    "unknown.docx": (b"PK", [("file", "unknown_format")], []),
}


MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[2:], check=False).returncode
with open(sys.argv[1], "w", encoding="ascii") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path, str]]:
    folder = tmp_path_factory.mktemp("bad")
    inputs = folder / "inputs"
    inputs.mkdir()
    for name, (content, _, _) in CASES.items():
        (inputs / name).write_bytes(content)
    (inputs / "cut.jsonl.gz").write_bytes(truncated_gzip())
    with (inputs / "long.jsonl").open("wb") as file:
        file.write(line("h1"))
        file.write(b'{"text": "')
        for _ in range(200):
            file.write(b"a" * MEBIBYTE)
        file.write(b'"}\n' + line("h2"))
    pq.write_table(pa.table({"body": ["沒有 text 欄位"]}), inputs / "no_column.parquet")
    broken = warc_record(page("i2"))
    (inputs / "broken.warc").write_bytes(
        warc_record(page("i1")) + broken.replace(b"WARC/1.0", b"XXXX/1.0") + warc_record(page("i3"))
    )
    os.mkfifo(inputs / "pipe.jsonl")
    # the good texts differ in a few characters only
    recipe = folder / "recipe.yaml"
    recipe.write_text("near_dedup: null\n", encoding="utf-8")
    # through a process of its own, which knows the memory of this command alone
    done = subprocess.run(
        [
            *(sys.executable, "-c", MEASURED, folder / "peak"),
            *(COMMAND, "--quiet", "curate", inputs, "--output", folder / "out", "--recipe", recipe),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    yield done.returncode, folder / "out", done.stderr
    shutil.rmtree(folder)


def faults(output: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (output / "faults.jsonl").read_text(encoding="utf-8").splitlines()]


def kept_ids(output: Path) -> set[str]:
    return {name for path in (output / "documents").glob("*") for name in pq.read_table(path)["id"].to_pylist()}


def test_bad_input_ends_with_the_code_for_counted_faults(outcome: tuple[int, Path, str]) -> None:
    code, output, errors = outcome
    assert code == 3, errors
    assert json.loads((output / "summary.json").read_text(encoding="utf-8"))["counts"]["num_faults"] == len(
        faults(output)
    )


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_listed_with_its_position_and_good_records_are_kept(
    name: str, outcome: tuple[int, Path, str]
) -> None:
    _, output, _ = outcome
    _, expected, ids = CASES[name]
    assert [(row["position"], row["reason"]) for row in faults(output) if row["path"] == name] == expected
    assert set(ids) <= kept_ids(output)


def test_bad_input_truncated_gzip_keeps_the_records_before_the_cut(outcome: tuple[int, Path, str]) -> None:
    _, output, _ = outcome
    (fault,) = (row for row in faults(output) if row["path"] == "cut.jsonl.gz")
    assert fault["reason"] == "truncated_archive"
    kept = {name for name in kept_ids(output) if name.startswith("cut-")}
    assert kept == {f"cut-{number}" for number in range(len(kept))}
    assert len(kept) > 150


def test_bad_input_line_of_200_mb_is_skipped_without_being_held(outcome: tuple[int, Path, str]) -> None:
    _, output, _ = outcome
    (fault,) = (row for row in faults(output) if row["path"] == "long.jsonl")
    assert (fault["position"], fault["reason"]) == ("line 2", "record_too_large")
    assert {"h1", "h2"} <= kept_ids(output)
    # of the largest process, in KiB on Linux; 200 MB held once more would be above it
    assert 50 * 1024 < int((output.parent / "peak").read_text(encoding="ascii")) < 700 * 1024


def test_bad_input_parquet_without_the_column_is_a_fault(outcome: tuple[int, Path, str]) -> None:
    _, output, _ = outcome
    reasons = {row["reason"] for row in faults(output) if row["path"] == "no_column.parquet"}
    assert reasons == {"missing_text"}


def test_bad_input_broken_warc_record_does_not_hide_the_next(outcome: tuple[int, Path, str]) -> None:
    _, output, _ = outcome
    (fault,) = (row for row in faults(output) if row["path"] == "broken.warc")
    assert fault["reason"] == "malformed_record"
    assert len([name for name in kept_ids(output) if name.startswith("broken.warc")]) == 2


def test_bad_input_named_pipe_is_a_fault_and_not_a_wait(outcome: tuple[int, Path, str]) -> None:
    _, output, _ = outcome
    (fault,) = (row for row in faults(output) if row["path"] == "pipe.jsonl")
    assert fault["reason"] == "unreadable_file"


def run_with(
    inputs: Path, output: Path, *options: str, limit: Callable[[], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "--quiet", "curate", inputs, "--output", output, *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=limit,
        # a coverage measurement of the child would write its own file, which a full disk breaks too
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
    )


def test_full_disk_is_one_clear_error_and_the_run_continues_when_there_is_space(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    # incompressible text, so that the shard grows past the limit
    rows = [
        json.dumps({"id": str(n), "text": "".join(chr(0x4E00 + (n * 7919 + k * k * 31) % 20_000) for k in range(400))})
        for n in range(300)
    ]
    (inputs / "a.jsonl").write_text("\n".join(rows), encoding="utf-8")
    recipe = tmp_path / "all.yaml"
    every_rule_off = dict.fromkeys((rule.name for rule in fields(QualityRules)), None)
    recipe.write_text(json.dumps({"rules": every_rule_off}), encoding="utf-8")

    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = run_with(inputs, tmp_path / "out", "--recipe", str(recipe), limit=small_files_only)
    assert full.returncode == 1
    assert full.stderr.count("error:") == 1
    assert "run the same command again" in full.stderr
    assert "Traceback" not in full.stderr
    done = run_with(inputs, tmp_path / "out", "--recipe", str(recipe))
    assert done.returncode == 0, done.stderr
    assert len(kept_ids(tmp_path / "out")) == 300


@pytest.mark.parametrize(
    ("recipe", "named"),
    [
        ("rulez: {}\n", "rulez"),
        ("rules: {min_han_char: 3}\n", "rules.min_han_char"),
        ("rules: {min_han_share: 1.5}\n", "min_han_share"),
        ("rules: {min_punctuation_share: 0.5, max_punctuation_share: 0.1}\n", "min_punctuation_share"),
        ("tasks: {max_files: 0}\n", "max_files"),
        ("reading: {max_record_bytes: 0}\n", "max_record_bytes"),
        ("output_format: csv\n", "output_format"),
        ("near_dedup: {num_buckets: 0}\n", "num_buckets"),
        ("search_buckets: 0\n", "search_buckets"),
        ("search_buckets: 1000000\n", "search_buckets is 1000000; give a number from 1 to 1,024"),
        ("near_dedup: {seed: -1}\n", "seed is -1"),
        ("rules: {min_han_chars: 99999999999999999999999999999}\n", "rules.min_han_chars has more than 64 bits"),
        ("pii: {kinds: []}\n", "kinds is empty"),
        ("reading: {text_field: id, id_field: id}\n", "text_field and id_field are both 'id'"),
        ("pii: {mode: pseudonymise}\n", "key_file"),
        ("rules: [\n", "recipe.yaml"),
    ],
)
def test_recipe_that_cannot_be_used_is_refused_before_any_work(tmp_path: Path, recipe: str, named: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(line("a"))
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe, encoding="utf-8")
    done = run_with(tmp_path / "a.jsonl", tmp_path / "out", "--recipe", str(path))
    assert done.returncode == 2
    assert named in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["missing.jsonl", "--output", "out"], "missing.jsonl"),
        (["empty", "--output", "out"], "no readable file under empty: give at least one file"),
        (["empty", "--output", "empty"], "no readable file under empty: what stands in --output is no input"),
        (["empty2", "--output", "out"], "somebody's file is left out as unknown_format"),
        (["a.jsonl", "--output", "out", "--workers", "0"], "--workers is 0"),
        (["a.jsonl", "--output", "out", "--recipe", "nonsense"], "forum, law, news, web"),
        (["a.jsonl", "--output", "empty2"], "empty2"),
        (["a.jsonl"], "--output"),
    ],
)
def test_command_that_cannot_be_run_names_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(line("a"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty2").mkdir()
    (tmp_path / "empty2" / "somebody's file").write_text("keep me", encoding="utf-8")
    done = subprocess.run([COMMAND, "curate", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert named in done.stderr
    assert (tmp_path / "empty2" / "somebody's file").read_text(encoding="utf-8") == "keep me"
