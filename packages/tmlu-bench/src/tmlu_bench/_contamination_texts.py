"""Texts to look at for contamination: questions in their own and in other orders, and those of a corpus."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tmlu_bench._permute import option_roles, permute_seeded
from tmlu_bench._question_set import QuestionSet
from twllm_runs import unique_keys
from twllm_types import ChoiceQuestion, ConfigError, DataError

_TRIES_PER_ORDER = 8
_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".txt", ".txt.gz")
_PARQUET_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredText:
    """One text to score.

    Attributes:
        set_name: "questions" or "control".
        subject: of the question.
        question_id: of the question.
        order: 0 for its own order of options, k for the k-th other one.
        text: stem and options, one per line.
    """

    set_name: str
    subject: str
    question_id: str
    order: int
    text: str

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What the text is known by."""
        return self.set_name, self.subject, self.question_id, self.order


def question_text(question: ChoiceQuestion) -> str:
    """Stem and options as published: the answer is not part of it, since no paper prints it there."""
    options = (f"({letter}) {option}" for letter, option in zip(question.letters, question.options, strict=True))
    return "\n".join((question.question.strip(), *options))


def other_orders(question: ChoiceQuestion, *, count: int, seed: int) -> tuple[ChoiceQuestion, ...]:
    """Return up to `count` distinct other orders of the options; fewer where there are not so many, none if none moves.

    Options such as 以上皆是 keep their place.
    """
    if option_roles(question.options).reason is not None:
        return ()
    found: dict[tuple[int, ...], ChoiceQuestion] = {}
    own = tuple(range(len(question.options)))
    for draw in range(count * _TRIES_PER_ORDER):
        permuted = permute_seeded(question, seed=seed + draw)
        if permuted.order != own:
            found.setdefault(permuted.order, permuted.question)
        if len(found) == count:
            break
    return tuple(found.values())


def plan_texts(set_name: str, questions: QuestionSet, *, num_orders: int, seed: int) -> list[ScoredText]:
    """List the texts of all test questions: own order first, then `num_orders` others each."""
    texts: list[ScoredText] = []
    for subject in questions.subjects:
        for question in subject.test:
            orders = (question, *(other_orders(question, count=num_orders, seed=seed) if num_orders else ()))
            texts.extend(
                ScoredText(
                    set_name=set_name,
                    subject=subject.id,
                    question_id=question.id,
                    order=order,
                    text=question_text(shown),
                )
                for order, shown in enumerate(orders)
            )
    return texts


def corpus_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of a corpus, at any depth, by name.

    Raises:
        ConfigError: there is none that can be read.
    """
    candidates = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    files = tuple(path for path in candidates if path.is_file() and path.name.endswith(_SUFFIXES))
    if not files:
        raise ConfigError(f"{folder}: holds no {', '.join(_SUFFIXES)}; give a folder of such files")
    return files


def read_corpus(files: Sequence[Path], *, text_field: str = "text") -> Iterator[str]:
    """Yield the texts of a corpus: a JSONL line's or Parquet row's field, or a plain file as a whole.

    Raises:
        DataError: a file cannot be read, or a row has no such field; the message names file and line.
    """
    for path in files:
        name = path.name
        if name.endswith(".parquet"):
            yield from _parquet_texts(path, text_field)
        elif name.endswith((".jsonl", ".jsonl.gz")):
            yield from _jsonl_texts(path, text_field)
        else:
            yield _decode(_read(path), path)


def _jsonl_texts(path: Path, field: str) -> Iterator[str]:
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                row: object = json.loads(line, object_pairs_hook=unique_keys)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}:{number}: is not JSON ({error}); give one object per line") from error
            text = cast("dict[str, object]", row).get(field) if isinstance(row, dict) else None
            if not isinstance(text, str):
                raise DataError(f"{path}:{number}: has no text in {field!r}; name its field by --text-field")
            yield text


def _parquet_texts(path: Path, field: str) -> Iterator[str]:
    from tmlu_bench._contamination_parquet import parquet_column

    yield from parquet_column(path, field, batch_rows=_PARQUET_BATCH)


def _read(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8; write the file as UTF-8") from error
