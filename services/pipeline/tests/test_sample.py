"""The sample corpus: rebuilt from its sources, complete, invented, with the properties that `expected.jsonl` claims."""

import gzip
import importlib
import importlib.util
import ipaddress
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tw_corpus import Script, Variant, classify_variant, classify_variants

_SERVICE = Path(__file__).resolve().parent.parent
_TOOL = _SERVICE / "tools" / "build_sample.py"
_SAMPLE = _SERVICE / "src" / "twllm_pipeline" / "sample"
_CORPUS = _SAMPLE / "corpus"
_RECORD_SUFFIXES = {".jsonl", ".gz", ".zst", ".parquet"}

Row = dict[str, Any]


def _load_tool() -> Any:
    spec = importlib.util.spec_from_file_location("build_sample", _TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True, slots=True, kw_only=True)
class _WarcRecord:
    kind: str
    url: str
    status: int
    content_type: str
    body: bytes


def _split_head(block: bytes) -> tuple[str, dict[str, str], bytes]:
    head, _, body = block.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    return first, {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}, body


def _warc_records(path: Path) -> list[_WarcRecord]:
    data = gzip.decompress(path.read_bytes())
    records: list[_WarcRecord] = []
    while data:
        version, headers, rest = _split_head(data)
        assert version == "WARC/1.0"
        length = int(headers["content-length"])
        block, data = rest[:length], rest[length:].removeprefix(b"\r\n\r\n")
        kind = headers["warc-type"]
        if kind == "response":
            first, http, body = _split_head(block)
            status, content_type = int(first.split()[1]), http["content-type"]
        else:
            status, content_type, body = 0, "", block
        url = headers.get("warc-target-uri", "")
        records.append(_WarcRecord(kind=kind, url=url, status=status, content_type=content_type, body=body))
    return records


def _records(path: Path) -> list[Row]:
    if path.suffix == ".parquet":
        # pyarrow has no type stubs: imported as Any
        parquet: Any = importlib.import_module("pyarrow.parquet")
        return parquet.read_table(path).to_pylist()
    return [json.loads(line) for line in _content(path).decode().splitlines()]


def _record_files() -> list[Path]:
    return sorted(path for path in _CORPUS.iterdir() if path.suffix in _RECORD_SUFFIXES and "warc" not in path.name)


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompress(data)
    return data


def _page_text(data: bytes, content_type: str = "") -> str:
    named = re.search(rb"(?:charset|encoding)=\W?([\w-]+)", content_type.encode() + b" " + data[:400], re.IGNORECASE)
    assert named is not None
    charset = named.group(1).decode("ascii").lower()
    # Big5-HKSCS is a superset of the Big5 in use here, the ETEN characters included
    return data.decode("big5hkscs" if charset.startswith("big5") else charset)


@pytest.fixture(scope="module")
def expected() -> list[Row]:
    return [json.loads(line) for line in (_SAMPLE / "expected.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def texts(expected: list[Row]) -> dict[str, str]:
    """The text of each document by id: the field of a record, the source of a page."""
    tables = {path: _records(path) for path in _record_files()}
    warc = _warc_records(_CORPUS / "crawl.warc.gz")
    found: dict[str, str] = {}
    for row in expected:
        path = _SAMPLE / row["path"]
        position: int = row["position"]
        if path in tables:
            fields = tables[path][position]
            assert (fields["id"], fields["url"], fields["genre"]) == (row["id"], row["url"], row["genre"])
            found[row["id"]] = fields["text"]
        elif "warc" in path.name:
            record = warc[position]
            assert record.url == row["url"]
            found[row["id"]] = _page_text(record.body, record.content_type)
        elif path.suffix == ".txt":
            found[row["id"]] = path.read_text(encoding="utf-8")
        else:
            found[row["id"]] = _page_text(path.read_bytes())
    return found


def test_build_sample_from_sources_gives_shipped_content(tmp_path: Path) -> None:
    tool = _load_tool()
    tool.build(tool.SOURCE, tmp_path)
    built = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    # the exam was written as it stands; judgements and generations have tools of their own
    shipped = {
        path.relative_to(_SAMPLE)
        for path in _SAMPLE.rglob("*")
        if path.is_file() and path.name != "README.md" and path.parent.name not in {"exam", "judge", "intents"}
    }
    assert built == shipped
    for name in sorted(built):
        if name.suffix == ".parquet":
            assert _records(tmp_path / name) == _records(_SAMPLE / name)
        else:
            assert _content(tmp_path / name) == _content(_SAMPLE / name), name


def test_build_sample_command_writes_into_named_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(_TOOL), "--output", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert done.stdout.startswith("161 documents in ")
    assert (tmp_path / "expected.jsonl").read_bytes() == (_SAMPLE / "expected.jsonl").read_bytes()


def _copy_sources(tool: Any, target: Path) -> Path:
    for path in tool.SOURCE.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(tool.SOURCE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return target


def test_build_sample_broken_line_names_file_and_line(tmp_path: Path) -> None:
    tool = _load_tool()
    source = _copy_sources(tool, tmp_path / "source")
    with (source / "news.jsonl").open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    with pytest.raises(ValueError, match=r"news\.jsonl:15: .*give one JSON object a line"):
        tool.build(source, tmp_path / "out")


def test_build_sample_character_outside_big5_is_named(tmp_path: Path) -> None:
    tool = _load_tool()
    source = _copy_sources(tool, tmp_path / "source")
    (source / "pages/law/law004.html").write_text("charset=big5 第〇條", encoding="utf-8")
    with pytest.raises(ValueError, match=r"law004\.html: '〇' does not exist in cp950"):
        tool.build(source, tmp_path / "out")


def test_build_sample_id_used_twice_is_refused(tmp_path: Path) -> None:
    tool = _load_tool()
    source = _copy_sources(tool, tmp_path / "source")
    news = (source / "news.jsonl").read_text(encoding="utf-8")
    (source / "web.jsonl").write_text(news.splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"ids used twice: news-001;"):
        tool.build(source, tmp_path / "out")


def test_sample_size_stays_small() -> None:
    assert sum(path.stat().st_size for path in _SAMPLE.rglob("*") if path.is_file()) < 600_000


def test_sample_every_document_is_expected_once(expected: list[Row], texts: dict[str, str]) -> None:
    found: set[tuple[str, int]] = set()
    for path in (path for path in _CORPUS.rglob("*") if path.is_file()):
        name = str(path.relative_to(_SAMPLE))
        if "warc" in path.name:
            positions = [n for n, r in enumerate(_warc_records(path)) if r.status == 200 and "html" in r.content_type]
        elif path.suffix in _RECORD_SUFFIXES:
            positions = list(range(len(_records(path))))
        else:
            positions = [0]
        found |= {(name, position) for position in positions}
    assert found == {(row["path"], row["position"]) for row in expected}
    assert len(found) == len(expected) == len(texts)


def test_sample_holds_every_kind_of_document(expected: list[Row]) -> None:
    genres = Counter(row["genre"] for row in expected if row["label"] == "zh-TW" and row["script"] == "Hant")
    least = {"news": 20, "forum": 15, "law": 8, "cooking": 10, "technical": 10, "dialogue": 8, "encyclopedia": 10}
    least |= {"notice": 6, "boilerplate": 10, "spam": 5, "gambling": 5}
    assert all(genres[genre] >= count for genre, count in least.items()), genres
    assert genres["essay"] + genres["book"] >= 6
    labels = Counter((row["label"], row["script"]) for row in expected)
    assert labels["zh-HK", "Hant"] >= 6
    assert labels["yue", "Hant"] >= 6
    assert labels["zh-CN", "Hans"] >= 8
    assert labels["zh-CN", "Hant"] == sum(row["converted_from_simplified"] for row in expected) >= 6
    assert labels["zh-TW", "Hans"] == 4
    assert labels["en", "Latn"] >= 5
    assert sum(bool(row["pii"]) for row in expected) >= 8


def test_sample_outcome_follows_from_the_kind_of_document(expected: list[Row]) -> None:
    for row in expected:
        noise = row["genre"] in {"boilerplate", "spam", "gambling"} or row["script"] != "Hant"
        outcome = "rejected" if noise else "duplicate" if row["duplicate_of"] else "kept"
        assert row["expected"] == outcome, row["id"]
        repeats = row["duplicate_of"] or row["near_duplicate_of"] or (row["mirror_of"] and row["script"] == "Hans")
        final = "duplicate" if repeats else "rejected" if noise else "kept" if row["label"] == "zh-TW" else "tagged"
        assert row["expected_final"] == final, row["id"]


def test_sample_duplicates_are_equal_and_come_second(expected: list[Row], texts: dict[str, str]) -> None:
    order = [row["id"] for row in expected]
    pairs = [(row["id"], row["duplicate_of"]) for row in expected if row["duplicate_of"]]
    assert len(pairs) == 4
    for copy, original in pairs:
        assert texts[copy].replace("\u200b", "") == texts[original]
        assert order.index(copy) > order.index(original)
    assert sum(texts[copy] != texts[original] for copy, original in pairs) == 1


def test_sample_near_duplicates_share_most_shingles_but_not_all(expected: list[Row], texts: dict[str, str]) -> None:
    def shingles(text: str) -> set[str]:
        joined = "".join(text.split())
        return {joined[start : start + 5] for start in range(len(joined) - 4)}

    pairs = [(row["id"], row["near_duplicate_of"]) for row in expected if row["near_duplicate_of"]]
    assert len(pairs) == 5
    for copy, original in pairs:
        one, other = shingles(texts[copy]), shingles(texts[original])
        assert 0.8 <= len(one & other) / len(one | other) < 1.0, copy


def test_sample_mirrors_are_the_same_text_in_the_other_script(expected: list[Row], texts: dict[str, str]) -> None:
    # opencc has no type stubs: imported as Any
    opencc: Any = importlib.import_module("opencc")
    to_simplified = opencc.OpenCC("t2s").convert
    pairs = [(row["id"], row["mirror_of"]) for row in expected if row["mirror_of"]]
    assert len(pairs) == 5
    for mirror, original in pairs:
        assert texts[mirror] != texts[original]
        assert to_simplified(texts[mirror]) == to_simplified(texts[original]), mirror


_LETTERS = dict(zip("ABCDEFGHJKLMNPQRSTUVXYWZIO", range(10, 36), strict=True))


def _resident_valid(value: str) -> bool:
    second = _LETTERS[value[1]] % 10 if value[1].isalpha() else int(value[1])
    digits = [*divmod(_LETTERS[value[0]], 10), second, *map(int, value[2:])]
    return sum(d * w for d, w in zip(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=True)) % 10 == 0


def _company_sum(value: str) -> int:
    return sum(sum(divmod(int(d) * w, 10)) for d, w in zip(value, (1, 2, 1, 2, 1, 2, 4, 1), strict=True))


def _luhn_valid(value: str) -> bool:
    digits = [int(c) for c in value if c.isdigit()][::-1]
    return sum(d if n % 2 == 0 else sum(divmod(2 * d, 10)) for n, d in enumerate(digits)) % 10 == 0


def test_sample_personal_data_stand_in_the_text_with_valid_check_digits(
    expected: list[Row], texts: dict[str, str]
) -> None:
    checks = {
        "national_id": _resident_valid,
        "arc_new": _resident_valid,
        "arc_old": _resident_valid,
        "card": _luhn_valid,
    }
    kinds: Counter[str] = Counter()
    for row in expected:
        for item in row["pii"]:
            assert item["value"] in texts[row["id"]], item
            assert checks.get(item["kind"], bool)(item["value"]), item
            kinds[item["kind"]] += 1
    assert set(kinds) == {*checks, "ubn", "mobile", "landline", "email", "address", "einvoice_mobile_barcode"}


def test_sample_company_numbers_hold_one_that_only_the_rule_of_2023_accepts(expected: list[Row]) -> None:
    numbers = {item["value"] for row in expected for item in row["pii"] if item["kind"] == "ubn"}
    totals = {n: {_company_sum(n)} | ({_company_sum(n) + 1} if n[6] == "7" else set[int]()) for n in numbers}
    assert all(any(total % 5 == 0 for total in sums) for sums in totals.values())
    assert any(all(total % 10 for total in sums) for sums in totals.values())
    assert any(any(total % 10 == 0 for total in sums) for sums in totals.values())


def test_sample_big5_pages_hold_what_python_big5_cannot_decode() -> None:
    pages = [path.read_bytes() for path in _CORPUS.rglob("*.html") if b"charset=big5" in path.read_bytes()]
    assert len(pages) >= 10
    undecodable = 0
    for page in pages:
        with pytest.raises(UnicodeDecodeError):
            page.decode("utf-8")
        try:
            page.decode("big5")
        except UnicodeDecodeError:
            undecodable += 1
    assert undecodable == 4
    go_club = (_CORPUS / "pages/wharf/tianyuan.html").read_bytes()
    assert b"\xf9\xd6" in go_club
    assert "天元碁院" in go_club.decode("cp950")


def test_sample_eten_kana_need_hkscs_because_cp950_reads_other_kana() -> None:
    page = (_CORPUS / "pages/wharf/photo.html").read_bytes()
    assert "みどりや" in page.decode("big5hkscs")
    assert "みどりや" not in page.decode("cp950")


def test_sample_warc_mixes_documents_with_other_records() -> None:
    records = _warc_records(_CORPUS / "crawl.warc.gz")
    assert Counter(record.kind for record in records) == {"warcinfo": 1, "request": 1, "response": 18}
    assert Counter(record.status for record in records if record.status) == {200: 16, 301: 1, 404: 1}
    types = Counter(record.content_type.lower().replace(" ", "") for record in records if record.status == 200)
    assert types["text/html;charset=big5"] == 5
    assert types["text/html"] == 2
    assert types["text/html;charset=big5-hkscs"] == 1
    assert types["text/html;charset=utf-8"] == 7
    assert types["image/png"] == 1


def test_sample_names_no_host_and_no_address_of_the_real_world() -> None:
    pages = [record for record in _warc_records(_CORPUS / "crawl.warc.gz") if "html" in record.content_type]
    decoded = [record.url + _page_text(record.body, record.content_type) for record in pages]
    decoded += [_page_text(path.read_bytes()) for path in (_CORPUS / "pages").rglob("*.*html")]
    decoded += [json.dumps(_records(path), ensure_ascii=False) for path in _record_files()]
    decoded += [path.read_text(encoding="utf-8") for path in (_CORPUS / "books").iterdir()]
    everything = "\n".join(decoded)
    hosts = set(re.findall(r"(?:https?://|[\w.+-]+@)([a-z][\w.-]*[a-z])", everything, flags=re.ASCII))
    allowed = re.compile(r"(?:[\w-]+\.)*example(?:\.tw|\.com)?|www\.w3\.org")
    assert len(hosts) > 20
    assert [host for host in hosts if not allowed.fullmatch(host)] == []
    networks = [ipaddress.ip_network(name) for name in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
    addresses = [ipaddress.ip_address(found) for found in re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", everything)]
    assert len(addresses) >= 8
    assert all(any(address in network for network in networks) for address in addresses)


def test_sample_ptt_pages_hold_what_extraction_must_drop(expected: list[Row], texts: dict[str, str]) -> None:
    pages = [row for row in expected if "pages/ptt/" in row["path"]]
    assert len(pages) == 8
    for row in pages:
        assert len(row["dropped_by_extraction"]) >= 5
        assert all(value in texts[row["id"]] for value in row["dropped_by_extraction"])
        assert 'class="push-ipdatetime"' in texts[row["id"]]


def _intent_rows(name: str) -> list[Row]:
    return _records(_SAMPLE / "intents" / f"{name}.jsonl")


def test_sample_intents_hold_five_seeds_and_fifteen_other_test_rows_each() -> None:
    seeds, test = _intent_rows("seeds"), _intent_rows("test")
    assert Counter(Counter(row["intent"] for row in seeds).values()) == {5: 12}
    assert Counter(Counter(row["intent"] for row in test).values()) == {15: 12}
    assert len({re.sub(r"\W", "", row["text"]) for row in (*seeds, *test)}) == 240


def test_sample_intents_are_worded_as_in_taiwan() -> None:
    recorded = [text for row in _intent_rows("recorded") for text in row["response"]["texts"]]
    rows = [*_intent_rows("seeds"), *_intent_rows("test")]
    by_intent = [
        "\n".join(row["text"] for row in rows if row["intent"] == name) for name in {r["intent"] for r in rows}
    ]
    for text in (*by_intent, "\n".join(recorded)):
        verdict = classify_variant(text)
        assert (verdict.label, verdict.script, verdict.decided) == (Variant.ZH_TW, Script.HANT, True), text
    # one line of a dozen characters may be shared with Hong Kong, and the classifier then guesses
    for verdict in classify_variants([row["text"] for row in rows] + recorded, max_evidence=0):
        assert verdict.script is not Script.HANS
        assert not verdict.converted_from_simplified
        assert not (verdict.decided and verdict.label is Variant.ZH_CN)
