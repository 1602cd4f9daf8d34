"""A set of exam questions as it was read: what is asked, what could not be used and why, and from which files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tmlu_bench._subjects import Subject, find_subject
from twllm_types import ChoiceQuestion, DataError, FrozenDict


class SourceFormat(StrEnum):
    """How the questions are laid out in files."""

    TMLU = "tmlu"
    """Columns question, A to F, answer, explanation; JSON lines, Parquet or CSV (TMMLU+ is such a CSV)."""
    TMMLU_V1 = "tmmlu-v1"
    """Columns content.Q with inline options and content.A."""
    CHOICES = "choices"
    """A list of options and the answer as an index from 0 or a letter."""


class FaultReason(StrEnum):
    """Why a row is not a question."""

    INVALID_JSON = "invalid_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    NO_OPTIONS = "no_options"
    EMPTY_OPTION = "empty_option"
    OPTION_GAP = "option_gap"
    TOO_MANY_OPTIONS = "too_many_options"
    DUPLICATE_GOLD = "duplicate_gold"
    ANSWER_OUTSIDE = "answer_outside"
    DUPLICATE_ID = "duplicate_id"
    COLUMN_COUNT = "column_count"
    LONE_SURROGATE = "lone_surrogate"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFault:
    """One row that could not be used.

    Attributes:
        file: name of the file relative to the source.
        line: line in a text file, row in a Parquet file or a data set of the hub, from 1.
        subject: subject it would have belonged to.
        reason: a stable kind.
        message: what is wrong and how to mend it, one line.
    """

    file: str
    line: int
    subject: str
    reason: FaultReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file as it was read.

    Attributes:
        name: relative to the source.
        path: where it stands; None for a data set of the hub.
        encoding: "utf-8" or "cp950" of a text file; None for others.
    """

    name: str
    path: Path | None
    encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a question stands: file relative to the source, and line or row from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectQuestions:
    """The questions of one subject.

    Attributes:
        id: subject id, unique within the set.
        name: Chinese name where the source or a subject table gives one; else the id.
        test: what is asked, in the order of the files.
        dev: worked examples, in order; may be empty.
        validation: questions that are neither asked nor shown (TMMLU+'s `val`).
    """

    id: str
    name: str
    test: tuple[ChoiceQuestion, ...] = ()
    dev: tuple[ChoiceQuestion, ...] = ()
    validation: tuple[ChoiceQuestion, ...] = ()

    @property
    def splits(self) -> Mapping[str, tuple[ChoiceQuestion, ...]]:
        """The questions by the name of their split."""
        return {"test": self.test, "dev": self.dev, "validation": self.validation}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """Questions of several subjects.

    Attributes:
        name: of the source: a folder's or file's own name, or the id of a data set of the hub.
        formats: layouts met.
        subjects: in the order of the TMLU table, others after them by id; at least one.
        faults: rows that could not be used, in the order of the files.
        files: files read, in order, a `subjects.json` last; empty for the hub.
        origins: (subject, split, question id) to the place it was read from.
        ignored: names of files in the folder that were not read, since they are no questions by their name or lie too
            deep, in order.

    Raises:
        DataError: two subjects share an id.
    """

    name: str
    formats: tuple[SourceFormat, ...]
    subjects: tuple[SubjectQuestions, ...]
    faults: tuple[SourceFault, ...] = ()
    files: tuple[SourceFile, ...] = ()
    origins: Mapping[tuple[str, str, str], Origin] = field(default_factory=FrozenDict[tuple[str, str, str], Origin])
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ids = [subject.id for subject in self.subjects]
        if len(set(ids)) != len(ids):
            raise DataError(f"question set {self.name} has two subjects of one id; rename one of {', '.join(ids)}")

    @property
    def num_questions(self) -> int:
        """Questions in all test splits."""
        return sum(len(subject.test) for subject in self.subjects)

    @property
    def sha256(self) -> str:
        """Hash of the content, 64 hexadecimal digits; independent of file names, formats and faults.

        The subjects' names are in it, since some protocols put them into prompts.
        """
        digest = hashlib.sha256()
        for subject in self.subjects:
            heading = json.dumps([subject.id, subject.name], ensure_ascii=False)
            digest.update(f"{heading}\n".encode("utf-8", "surrogatepass"))
            for split, questions in subject.splits.items():
                for question in questions:
                    parts = [subject.id, split, question.id, question.question, list(question.options)]
                    line = json.dumps([*parts, question.answer, question.explanation], ensure_ascii=False)
                    digest.update(f"{line}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def get(self, subject: str) -> SubjectQuestions:
        """Return the questions of a subject.

        Raises:
            DataError: the set has no such subject.
        """
        for found in self.subjects:
            if found.id == subject:
                return found
        known = ", ".join(found.id for found in self.subjects)
        raise DataError(f"{self.name} has no subject {subject!r}; it has {known}")

    def known_subject(self, subject: str) -> Subject | None:
        """Return the subject table's entry; None for a subject of no table."""
        return find_subject(subject)
