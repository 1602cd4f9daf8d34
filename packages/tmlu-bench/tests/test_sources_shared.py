from collections.abc import Callable
from pathlib import Path

import pytest

from tmlu_bench import FaultReason, FindingKind, QuestionSet, load_questions, validate_questions

Finder = Callable[[str], Path]


def contents(loaded: QuestionSet) -> set[tuple[str, str, tuple[str, ...], str]]:
    return {
        (subject.id, question.question, question.options, question.answer)
        for subject in loaded.subjects
        for question in subject.test
    }


def test_tmmlu_csv_gives_the_questions_of_the_jsonl(shared_data: Finder) -> None:
    ours = load_questions(shared_data("tmmlu/csv"))
    assert contents(ours) == contents(load_questions(shared_data("tmmlu/subjects")))
    reasons = [fault.reason for fault in ours.faults]
    assert (reasons.count(FaultReason.NO_OPTIONS), reasons.count(FaultReason.DUPLICATE_GOLD)) == (34, 1)


def test_tmmlu_counts_add_up_and_five_options_are_kept(shared_data: Finder) -> None:
    loaded = load_questions(shared_data("tmmlu"))
    assert (len(loaded.subjects), loaded.num_questions + len(loaded.faults)) == (25, 1769)
    letters = [question.answer for subject in loaded.subjects for question in subject.test]
    assert letters.count("E") == 5


@pytest.mark.parametrize(
    ("name", "subject", "count"),
    [
        ("tmmlu/ttqa", "ttqa", 103),
        ("tmmlu/penguins", "penguins_in_a_table", 149),
        ("tmmlu/penguins/data.json", "penguins", 149),
        ("tmmlu/tmmluplus_20.jsonl", "tmmluplus_20", 20),
    ],
)
def test_other_sets_are_read(shared_data: Finder, name: str, subject: str, count: int) -> None:
    loaded = load_questions(shared_data(name))
    assert ([found.id for found in loaded.subjects], loaded.num_questions) == ([subject], count)


def test_tmmlu_validation_reads_gold_answers_back(shared_data: Finder) -> None:
    findings = validate_questions(load_questions(shared_data("tmmlu")))
    kinds = [finding.kind for finding in findings]
    assert kinds.count(FindingKind.NO_DEV) == 25
    assert kinds.count(FindingKind.DUPLICATE_OPTIONS) == 1
    # Of 1,768 gold answers written "C) its text", at most four cannot be told from "C 不…", a rejection of C.
    assert kinds.count(FindingKind.GOLD_NOT_EXTRACTED) <= 4
