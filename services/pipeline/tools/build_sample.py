"""Build the quickstart's sample corpus from its readable sources.

`sample_source/` holds every text as UTF-8: JSONL files with one document a line, plain texts, HTML pages and the
pages of a small crawl. This tool turns them into the formats that the readers must cope with (JSONL, gzip, Zstandard,
Parquet, text, HTML in Big5, WARC) under `corpus/`, and writes `expected.jsonl` beside it. The same sources give the
same content: no clock and no randomness is used.

Run: python services/pipeline/tools/build_sample.py
"""

import argparse
import base64
import gzip
import hashlib
import importlib
import json
import shutil
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zstandard

Row = dict[str, Any]

_HERE = Path(__file__).resolve().parent
SOURCE = _HERE / "sample_source"
OUTPUT = _HERE.parent / "src" / "twllm_pipeline" / "sample"

# Source file -> shipped file; the suffix of the shipped file decides the format.
_RECORD_FILES = {
    "news.jsonl": "news.jsonl",
    "community.jsonl": "community.jsonl.gz",
    "reference.jsonl": "reference.jsonl.zst",
    "regions.jsonl": "regions.parquet",
    "web.jsonl": "web.jsonl",
}
_WARC_FILE = "crawl.warc.gz"
_EXPECTED_KEYS = (
    "genre",
    "label",
    "script",
    "expected",
    "expected_final",
    "converted_from_simplified",
    "note",
    "pii",
    "duplicate_of",
    "near_duplicate_of",
    "mirror_of",
    "dropped_by_extraction",
)


def read_jsonl(path: Path) -> list[Row]:
    """Read one JSON object a line.

    Raises:
        ValueError: a line is not JSON; the message names file and line.
    """
    rows: list[Row] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: {error}; give one JSON object a line") from error
    return rows


def _jsonl_bytes(rows: Iterable[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _write_parquet(path: Path, records: list[Row]) -> None:
    # pyarrow has no type stubs: imported as Any, here alone
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    parquet.write_table(arrow.Table.from_pylist(records), path, compression="zstd")


def _write_records(path: Path, records: list[Row]) -> None:
    if path.suffix == ".parquet":
        _write_parquet(path, records)
        return
    data = _jsonl_bytes(records)
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    elif path.suffix == ".zst":
        data = zstandard.ZstdCompressor(level=10).compress(data)
    path.write_bytes(data)


def _expected(row: Row, *, genre: str, path: str, position: int, url: str | None) -> Row:
    outcome: Row = {"dropped_by_extraction": [], **row["outcome"], "genre": genre}
    return {
        "id": row["id"],
        "path": path,
        "position": position,
        "url": url,
        **{key: outcome[key] for key in _EXPECTED_KEYS},
    }


def _build_records(source: Path, corpus: Path) -> list[Row]:
    expected: list[Row] = []
    for source_name, shipped_name in _RECORD_FILES.items():
        rows = read_jsonl(source / source_name)
        _write_records(corpus / shipped_name, [{k: v for k, v in row.items() if k != "outcome"} for row in rows])
        expected += [
            _expected(row, genre=row["genre"], path=f"corpus/{shipped_name}", position=position, url=row["url"])
            for position, row in enumerate(rows)
        ]
    return expected


def _build_files(source: Path, corpus: Path) -> list[Row]:
    """Copy texts and HTML pages, each in the encoding that `files.jsonl` names."""
    expected: list[Row] = []
    for row in read_jsonl(source / "files.jsonl"):
        target = corpus / row["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_encode(source / row["path"], row["encoding"]))
        expected.append(_expected(row, genre=row["genre"], path=f"corpus/{row['path']}", position=0, url=None))
    return expected


def _encode(path: Path, encoding: str) -> bytes:
    try:
        return path.read_text(encoding="utf-8").encode(encoding)
    except UnicodeEncodeError as error:
        character = error.object[error.start : error.end]
        raise ValueError(f"{path}: {character!r} does not exist in {encoding}; use another character") from error


def _build_warc(source: Path, corpus: Path) -> list[Row]:
    """Write the crawl: a warcinfo record, then the rows of `crawl.jsonl` in order. Positions count from warcinfo, 0."""
    members = [
        _warc_record("warcinfo", None, "application/warc-fields", b"software: build_sample.py\r\n", date="2026-11-20")
    ]
    expected: list[Row] = []
    for position, row in enumerate(read_jsonl(source / "crawl.jsonl"), start=1):
        if row["kind"] == "request":
            head = f"GET {row['url']} HTTP/1.1\r\nUser-Agent: sample\r\n\r\n".encode()
            members.append(
                _warc_record("request", row["url"], "application/http; msgtype=request", head, date="2026-11-20")
            )
            continue
        payload = _http_head(row) + _http_body(source, row)
        kind = "application/http; msgtype=response"
        members.append(_warc_record("response", row["url"], kind, payload, date=row["date"]))
        if "id" in row:
            genre = row["outcome"]["genre"]
            expected.append(_expected(row, genre=genre, path=f"corpus/{_WARC_FILE}", position=position, url=row["url"]))
    (corpus / _WARC_FILE).write_bytes(b"".join(gzip.compress(member, mtime=0) for member in members))
    return expected


def _http_head(row: Row) -> bytes:
    lines = [f"HTTP/1.1 {row['status']} {row['reason']}", f"Content-Type: {row['content_type']}"]
    if "location" in row:
        lines.append(f"Location: {row['location']}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _http_body(source: Path, row: Row) -> bytes:
    if "body_base64" in row:
        return base64.b64decode(row["body_base64"])
    if "body_text" in row:
        return str(row["body_text"]).encode(row["encoding"])
    return _encode(source / row["body"], row["encoding"])


def _warc_record(kind: str, url: str | None, content_type: str, block: bytes, *, date: str) -> bytes:
    """One WARC/1.0 record (ISO 28500); the record id follows from type and URL, so that a rebuild gives the same."""
    # sha1 is what WARC names for its digests; nothing here is secret
    digest = base64.b32encode(hashlib.sha1(block, usedforsecurity=False).digest()).decode("ascii")
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {url}')}>",
        f"WARC-Date: {date}T00:00:00Z",
        *([f"WARC-Target-URI: {url}"] if url else []),
        f"WARC-Block-Digest: sha1:{digest}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(block)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + block + b"\r\n\r\n"


def build(source: Path, output: Path) -> list[Row]:
    """Write `output/corpus/` and `output/expected.jsonl`; an earlier `corpus/` there is replaced.

    Args:
        source: the folder of readable sources.
        output: the folder that ships; its other files (the README) are left alone.

    Returns:
        The rows of `expected.jsonl`, sorted by path and position.

    Raises:
        ValueError: a source line is not JSON, a character is missing in the encoding of its page, or two documents
            have one id.
    """
    corpus = output / "corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True)
    expected = _build_records(source, corpus) + _build_files(source, corpus) + _build_warc(source, corpus)
    expected.sort(key=lambda row: (row["path"], row["position"]))
    ids = [row["id"] for row in expected]
    if len(set(ids)) != len(ids):
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        raise ValueError(f"{source}: ids used twice: {', '.join(repeated)}; give every document its own")
    (output / "expected.jsonl").write_bytes(_jsonl_bytes(expected))
    return expected


def main() -> None:
    """Build the shipped sample, or one in another folder."""
    parser = argparse.ArgumentParser(description="Build the quickstart's sample corpus from its readable sources.")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder to write (default: the one that ships)")
    output: Path = parser.parse_args().output
    rows = build(SOURCE, output)
    sys.stdout.write(f"{len(rows)} documents in {output / 'corpus'}\n")


if __name__ == "__main__":
    main()
