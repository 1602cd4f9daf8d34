"""What is wrong with a set of questions, before a model is asked: every item, every finding with its place."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tmlu_bench._extract import extract_answer
from tmlu_bench._extraction import Extractor
from tmlu_bench._question_set import FaultReason, Origin, QuestionSet, SourceFault, SubjectQuestions
from tmlu_bench._wording import counted
from twllm_types import ChoiceQuestion

_SHOTS = 5


class FindingKind(StrEnum):
    """What can be wrong."""

    UNREADABLE_ROW = "unreadable_row"
    MISSING_OPTIONS = "missing_options"
    ANSWER_OUTSIDE = "answer_outside"
    DUPLICATE_OPTIONS = "duplicate_options"
    DUPLICATE_ID = "duplicate_id"
    DUPLICATE_WITHIN_SUBJECT = "duplicate_within_subject"
    DUPLICATE_BETWEEN_SUBJECTS = "duplicate_between_subjects"
    CONTRADICTING_DUPLICATE = "contradicting_duplicate"
    DEV_TEST_OVERLAP = "dev_test_overlap"
    GOLD_NOT_EXTRACTED = "gold_not_extracted"
    QUESTION_COUNT = "question_count"
    OPTION_COUNT = "option_count"
    NO_DEV = "no_dev"
    FEW_DEV = "few_dev"
    NO_EXPLANATION = "no_explanation"


class Severity(StrEnum):
    """ERROR: the item cannot be used, or gives its answer away. WARNING: figures may differ. NOTE: good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: a stable kind.
        severity: how bad it is.
        subject: subject that it is about.
        message: what is wrong and what to do, one line.
        file: where, relative to the source; None for a finding about a whole subject.
        line: line or row from 1; None with `file`.
        question_id: None for a finding about a whole subject, or a row without a usable id.
    """

    kind: FindingKind
    severity: Severity
    subject: str
    message: str
    file: str | None = None
    line: int | None = None
    question_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    question: ChoiceQuestion
    split: str
    origin: Origin | None

    @property
    def where(self) -> str:
        origin = self.origin
        return f"{self.question.subject}/{self.question.id}" if origin is None else f"{origin.file}:{origin.line}"


_OF_FAULT = {
    FaultReason.NO_OPTIONS: FindingKind.MISSING_OPTIONS,
    FaultReason.EMPTY_OPTION: FindingKind.MISSING_OPTIONS,
    FaultReason.OPTION_GAP: FindingKind.MISSING_OPTIONS,
    FaultReason.ANSWER_OUTSIDE: FindingKind.ANSWER_OUTSIDE,
    FaultReason.DUPLICATE_GOLD: FindingKind.DUPLICATE_OPTIONS,
    FaultReason.DUPLICATE_ID: FindingKind.DUPLICATE_ID,
}


def validate_questions(question_set: QuestionSet) -> tuple[Finding, ...]:
    """Look at every item and every subject.

    Returns:
        Findings: rows that could not be used, then per subject its items in order, then its counts; empty for a set
        without fault. Counts are compared with the table only for subjects of TMLU's own layout that hold a dev split
        or TMLU's ids, since other exams share some ids.
    """
    findings = [_of_fault(fault) for fault in question_set.faults]
    seen: dict[str, _Placed] = {}
    for subject in question_set.subjects:
        placed = list(_placed(question_set, subject))
        for item in placed:
            findings.extend(_item_findings(item))
        findings.extend(_repeated(placed, seen))
        findings.extend(_overlaps(placed))
        findings.extend(_subject_findings(question_set, subject))
    return tuple(findings)


def comparable_text(question: ChoiceQuestion) -> str:
    """The stem without white space, punctuation and spelling variants of width, in lower case; for comparison."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", question.question)).casefold()


def _of_fault(fault: SourceFault) -> Finding:
    return Finding(
        kind=_OF_FAULT.get(fault.reason, FindingKind.UNREADABLE_ROW),
        severity=Severity.ERROR,
        subject=fault.subject,
        message=f"{fault.reason}: {fault.message}",
        file=fault.file,
        line=fault.line,
    )


def _placed(question_set: QuestionSet, subject: SubjectQuestions) -> Iterator[_Placed]:
    for split, questions in subject.splits.items():
        for question in questions:
            yield _Placed(
                question=question, split=split, origin=question_set.origins.get((subject.id, split, question.id))
            )


def _finding(item: _Placed, kind: FindingKind, severity: Severity, message: str) -> Finding:
    origin = item.origin
    return Finding(
        kind=kind,
        severity=severity,
        subject=item.question.subject,
        message=message,
        file=None if origin is None else origin.file,
        line=None if origin is None else origin.line,
        question_id=item.question.id,
    )


def _item_findings(item: _Placed) -> Iterator[Finding]:
    question = item.question
    texts = [unicodedata.normalize("NFKC", option).strip() for option in question.options]
    if len(set(texts)) < len(texts):
        twice = next(
            letter for i, (letter, text) in enumerate(zip(question.letters, texts, strict=True)) if text in texts[:i]
        )
        message = f"option {twice} repeats an earlier one; correct the options"
        yield _finding(item, FindingKind.DUPLICATE_OPTIONS, Severity.WARNING, message)
    for name, form, extractor in _gold_forms(item):
        found = extract_answer(form, question.letters, extractor, options=question.options)
        if found.letter != question.answer:
            message = (
                f"the gold answer written {name} reads as {found.letter or found.status} by the extractor {extractor}, "
                f"not {question.answer}; a right answer in this form would not count"
            )
            yield _finding(item, FindingKind.GOLD_NOT_EXTRACTED, Severity.WARNING, message)


def _gold_forms(item: _Placed) -> Iterator[tuple[str, str, Extractor]]:
    """The gold answer as the protocols' worked examples write it, with the extractors that would read it."""
    question = item.question
    option = question.options[question.letters.index(question.answer)]
    direct = f"{question.answer})"
    for extractor in (Extractor.ROBUST, Extractor.COMPAT):
        yield "as in a worked example", direct, extractor
    yield "with its option text", f"{direct} {option}", Extractor.ROBUST
    if item.split == "dev" and question.explanation and question.explanation.strip():
        reasoned = f"{question.explanation.strip()}\n正確答案：({question.answer})"
        for extractor in (Extractor.ROBUST, Extractor.COMPAT_COT):
            yield "after its explanation", reasoned, extractor


def _repeated(placed: Iterable[_Placed], seen: dict[str, _Placed]) -> Iterator[Finding]:
    """Equal stems and options; the same stem with other options is a question of its own."""
    for item in placed:
        if item.split != "test":
            continue
        options = sorted(unicodedata.normalize("NFKC", option).strip() for option in item.question.options)
        key = "\0".join((comparable_text(item.question), *options))
        first = seen.setdefault(key, item)
        if first is item:
            continue
        if _gold_text(first.question) != _gold_text(item.question):
            message = f"repeats {first.where} with another right answer; correct one of them"
            yield _finding(item, FindingKind.CONTRADICTING_DUPLICATE, Severity.ERROR, message)
            continue
        within = first.question.subject == item.question.subject
        kind = FindingKind.DUPLICATE_WITHIN_SUBJECT if within else FindingKind.DUPLICATE_BETWEEN_SUBJECTS
        severity = Severity.WARNING if within else Severity.NOTE
        yield _finding(item, kind, severity, f"repeats {first.where}; it counts twice, and the two are not independent")


def _gold_text(question: ChoiceQuestion) -> str:
    return unicodedata.normalize("NFKC", question.options[question.letters.index(question.answer)]).strip()


def _overlaps(placed: Iterable[_Placed]) -> Iterator[Finding]:
    items = list(placed)
    shown: Mapping[str, _Placed] = {comparable_text(item.question): item for item in items if item.split == "dev"}
    for item in items:
        example = shown.get(comparable_text(item.question)) if item.split == "test" else None
        if example is not None:
            message = f"its stem is that of the worked example {example.where}, which shows the answer; remove one"
            yield _finding(item, FindingKind.DEV_TEST_OVERLAP, Severity.ERROR, message)


def _subject_findings(question_set: QuestionSet, subject: SubjectQuestions) -> Iterator[Finding]:
    def about(kind: FindingKind, severity: Severity, message: str) -> Finding:
        return Finding(kind=kind, severity=severity, subject=subject.id, message=message)

    if not subject.dev:
        yield about(FindingKind.NO_DEV, Severity.NOTE, "no dev rows: only 0 shots are possible")
    elif len(subject.dev) < _SHOTS:
        message = f"{counted(len(subject.dev), 'dev row')}: at most as many shots are possible"
        yield about(FindingKind.FEW_DEV, Severity.WARNING, message)
    without = [question.id for question in subject.dev if not (question.explanation or "").strip()]
    if without:
        message = (
            f"{len(without)} of {counted(len(subject.dev), 'dev row')} without explanation: tmlu-cot cannot show them"
        )
        yield about(FindingKind.NO_EXPLANATION, Severity.NOTE, message)
    table = question_set.known_subject(subject.id)
    if table is None or table.num_questions is None or not subject.dev:
        return
    lost = sum(fault.subject == subject.id for fault in question_set.faults)
    if len(subject.test) != table.num_questions:
        message = (
            f"{counted(len(subject.test), 'usable test question')} ({counted(lost, 'row')} at fault), and TMLU has "
            f"{table.num_questions}; "
            "scores are not those of TMLU"
        )
        yield about(FindingKind.QUESTION_COUNT, Severity.WARNING, message)
    most = max((len(question.options) for question in subject.test), default=0)
    if most != table.num_options:
        message = f"at most {most} options, and TMLU's table says {table.num_options}"
        yield about(FindingKind.OPTION_COUNT, Severity.WARNING, message)
