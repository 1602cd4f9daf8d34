"""Genuine Taiwanese documents by genre, from the shared data, each on one of two halves.

Short lines of one source are joined to documents, and the name of the genre says so. The half follows from a hash of
the id of the document (of the article for encyclopaedia paragraphs, so that no article stands on both sides).
"""

import gzip
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from opencc import OpenCC

Half = Literal["calibration", "held-out"]

LINES_PER_DOCUMENT = 24
CONVERSATIONS_PER_DOCUMENT = 12
SIMPLIFIED_ANSWERS = "chat answers in Simplified"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenreDocument:
    """One genuine document."""

    id: str
    genre: str
    half: Half
    text: str


def load_documents(data: Path) -> list[GenreDocument]:
    """All documents of all genres; `data` is the folder that TWLLM_DATA names."""
    return [
        *_running_text(data / "zh_variants" / "tw_law.jsonl.gz", "law"),
        *_running_text(data / "zh_variants" / "transcripts_tw.jsonl.gz", "transcripts"),
        *_encyclopaedia(data / "drcd"),
        *_answers(data / "dialog" / "zh_tw_bench"),
        *_conversations(data / "zh_chat" / "chatterbot_tchinese"),
        *_common_voice(data / "zh_variants" / "common_voice_zh_tw.jsonl"),
        *_declaration(data / "zh_variants" / "udhr.jsonl"),
    ]


def half_of(key: str) -> Half:
    """The half that a document belongs to, by a hash of its key."""
    return "calibration" if hashlib.sha256(key.encode("utf-8")).digest()[0] % 2 == 0 else "held-out"


def _document(identifier: str, genre: str, text: str, *, key: str | None = None) -> GenreDocument:
    return GenreDocument(id=identifier, genre=genre, half=half_of(key or identifier), text=text)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _running_text(path: Path, genre: str) -> Iterator[GenreDocument]:
    for row in _rows(path):
        yield _document(row["id"], genre, row["text"])


def _encyclopaedia(folder: Path) -> Iterator[GenreDocument]:
    for name in ("DRCD_dev.json", "DRCD_test.json"):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                yield _document(paragraph["id"], "encyclopaedia", paragraph["context"], key=str(article["id"]))


def _answers(folder: Path) -> Iterator[GenreDocument]:
    """The first question and its answer as one document; the same question stays in one half for all systems.

    Some systems answer in Simplified characters; such an answer is not Taiwanese text and forms a genre of its own:
    converting it to Traditional changes more characters than converting it to Simplified.
    """
    questions = [row["turns"][0] for row in _rows(folder / "question.jsonl")]
    for system in ("claude", "gpt-3.5-turbo", "v1.0"):
        for number, row in enumerate(_rows(folder / f"model_answer__{system}.jsonl")):
            index = int(row["id"]) if "id" in row else number
            answer = row["generated_text"] if "id" in row else row["choices"][0]["turns"][0]
            is_simplified = _num_changed(answer, "s2t") > _num_changed(answer, "t2s")
            genre = SIMPLIFIED_ANSWERS if is_simplified else "chat answers"
            text = f"{questions[index]}\n\n{answer.strip()}"
            yield _document(f"{system}/{index}", genre, text, key=f"question/{index}")


def _num_changed(text: str, configuration: str) -> int:
    """Characters that OpenCC changes under `configuration`."""
    # opencc ships no types
    converted = cast("str", OpenCC(configuration).convert(text))  # pyright: ignore[reportUnknownMemberType]
    return sum(before != after for before, after in zip(text, converted, strict=False))


def _conversations(folder: Path) -> Iterator[GenreDocument]:
    for path in sorted(folder.glob("*.yml")):
        turns = [
            "\n".join(map(str, conversation))
            for conversation in yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]
        ]
        yield from _joined(path.stem, "chat turns, joined", turns, CONVERSATIONS_PER_DOCUMENT)


def _common_voice(path: Path) -> Iterator[GenreDocument]:
    genres = {
        "prompt": "spoken prompts, joined",
        "chat": "chat lines, joined",
        "government": "government lines, joined",
        "tour": "tour lines, joined",
    }
    by_genre: dict[str, list[str]] = {}
    for row in _rows(path):
        by_genre.setdefault(row["genre"], []).append(row["text"])
    for genre, lines in by_genre.items():
        yield from _joined(f"common_voice/{genre}", genres[genre], lines, LINES_PER_DOCUMENT)


def _declaration(path: Path) -> Iterator[GenreDocument]:
    paragraphs = [row["text"] for row in _rows(path) if row["label"] == "zh-TW"]
    yield from _joined("udhr", "declaration, joined", paragraphs, LINES_PER_DOCUMENT)


def _joined(source: str, genre: str, lines: Sequence[str], size: int) -> Iterator[GenreDocument]:
    """Consecutive lines as documents; a last one of less than half the size joins the one before."""
    starts = list(range(0, len(lines), size))
    if len(starts) > 1 and len(lines) - starts[-1] < size / 2:
        starts.pop()
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield _document(f"{source}/{start}", genre, "\n".join(lines[start:end]))
