import json
from pathlib import Path

from tmlu_bench import Finding, FindingKind, Severity, load_questions, validate_questions
from tmlu_bench._validate import comparable_text


def make(folder: Path, **files: list[dict[str, object]]) -> tuple[Finding, ...]:
    for name, rows in files.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return validate_questions(load_questions(folder))


def row(number: int, **changed: object) -> dict[str, object]:
    made: dict[str, object] = {
        "id": f"r{number}",
        "question": f"第 {number} 樣東西是什麼？",
        **dict(zip("ABCD", ("湯匙", "剪刀", "鐵鎚", "皮尺"), strict=True)),
        "answer": "B",
        "explanation": "剪刀用來剪紙。",
    }
    return made | changed


def dev(start: int, count: int = 5) -> list[dict[str, object]]:
    return [row(start + k) for k in range(count)]


def kinds(findings: tuple[Finding, ...]) -> list[FindingKind]:
    return [finding.kind for finding in findings]


def test_clean_set_gives_no_finding(tmp_path: Path) -> None:
    assert make(tmp_path, soup_test=[row(1), row(2)], soup_dev=dev(10)) == ()


def test_faults_of_rows_become_findings_with_their_place(tmp_path: Path) -> None:
    bad = [row(2, A=""), row(3, answer="E"), row(4, C="剪刀"), {"question": 5}, row(1)]
    findings = make(tmp_path, soup_test=[row(1), *bad], soup_dev=dev(10))
    assert [(finding.kind, finding.line, finding.severity) for finding in findings] == [
        (FindingKind.MISSING_OPTIONS, 2, Severity.ERROR),
        (FindingKind.ANSWER_OUTSIDE, 3, Severity.ERROR),
        (FindingKind.DUPLICATE_OPTIONS, 4, Severity.ERROR),
        (FindingKind.UNREADABLE_ROW, 5, Severity.ERROR),
        (FindingKind.DUPLICATE_ID, 6, Severity.ERROR),
    ]
    assert {finding.file for finding in findings} == {"soup_test.jsonl"}


def test_half_of_a_surrogate_pair_is_an_error_with_its_place(tmp_path: Path) -> None:
    text = json.dumps(row(1)) + "\n" + json.dumps(row(2, question="湯匙\ud83d")) + "\n"
    (tmp_path / "soup_test.jsonl").write_text(text, encoding="utf-8")
    (finding,) = (found for found in validate_questions(load_questions(tmp_path)) if found.severity is Severity.ERROR)
    assert (finding.kind, finding.file, finding.line) == (FindingKind.UNREADABLE_ROW, "soup_test.jsonl", 2)
    assert "the stem holds half of a surrogate pair" in finding.message


def test_repeated_wrong_option_is_a_warning(tmp_path: Path) -> None:
    (finding,) = make(tmp_path, soup_test=[row(1, D="湯匙 ")], soup_dev=dev(10))
    assert (finding.kind, finding.severity, finding.question_id) == (
        FindingKind.DUPLICATE_OPTIONS,
        Severity.WARNING,
        "r1",
    )
    assert "option D repeats" in finding.message


def test_duplicates_within_and_between_subjects_are_told_apart(tmp_path: Path) -> None:
    same = str(row(1)["question"])
    findings = make(
        tmp_path,
        salad_test=[row(1), row(2, question=f"{same} ")],
        salad_dev=dev(10),
        soup_test=[row(3, question=same.replace("？", "?"))],
        soup_dev=dev(20),
    )
    assert [(f.kind, f.subject, f.severity) for f in findings] == [
        (FindingKind.DUPLICATE_WITHIN_SUBJECT, "salad", Severity.WARNING),
        (FindingKind.DUPLICATE_BETWEEN_SUBJECTS, "soup", Severity.NOTE),
    ]
    assert "salad_test.jsonl:1" in findings[1].message


def test_same_stem_with_other_options_is_no_duplicate(tmp_path: Path) -> None:
    assert make(tmp_path, soup_test=[row(1), row(2, question=row(1)["question"], A="筷子")], soup_dev=dev(10)) == ()


def test_duplicate_in_another_order_is_found_and_contradiction_is_an_error(tmp_path: Path) -> None:
    stem = row(1)["question"]
    moved = row(2, question=stem, A="剪刀", B="湯匙", answer="A")
    other = row(3, question=stem, answer="C")
    findings = make(tmp_path, soup_test=[row(1), moved, other], soup_dev=dev(10))
    assert [(f.kind, f.severity) for f in findings] == [
        (FindingKind.DUPLICATE_WITHIN_SUBJECT, Severity.WARNING),
        (FindingKind.CONTRADICTING_DUPLICATE, Severity.ERROR),
    ]


def test_dev_row_in_test_is_an_error_after_normalising(tmp_path: Path) -> None:
    overlap = row(1, question="第 10 樣東西，是什麼？！", A="筷子")
    (finding,) = make(tmp_path, soup_test=[overlap], soup_dev=dev(10))
    assert (finding.kind, finding.severity) == (FindingKind.DEV_TEST_OVERLAP, Severity.ERROR)
    assert "soup_dev.jsonl:1" in finding.message


def test_explanation_that_misleads_an_extractor_is_found(tmp_path: Path) -> None:
    wrong = row(10, explanation="最終答案：\\boxed{A}")
    findings = make(tmp_path, soup_test=[row(1)], soup_dev=[wrong, *dev(11, 4)])
    assert kinds(findings) == [FindingKind.GOLD_NOT_EXTRACTED]
    assert "after its explanation" in findings[0].message
    assert "robust" in findings[0].message


def test_missing_and_short_dev_and_missing_explanations_are_noted(tmp_path: Path) -> None:
    findings = make(tmp_path, salad_test=[row(1)], soup_test=[row(2)], soup_dev=[row(10), row(11, explanation=" ")])
    assert kinds(findings) == [FindingKind.NO_DEV, FindingKind.FEW_DEV, FindingKind.NO_EXPLANATION]


def test_counts_unlike_the_table_are_warnings(tmp_path: Path) -> None:
    findings = make(tmp_path, AST_chemistry_test=[row(1), row(2, answer="E")], AST_chemistry_dev=dev(10))
    assert kinds(findings) == [FindingKind.ANSWER_OUTSIDE, FindingKind.QUESTION_COUNT, FindingKind.OPTION_COUNT]
    assert "1 usable test question (1 row at fault), and TMLU has 34" in findings[1].message
    assert "at most 4 options" in findings[2].message


def test_full_subject_of_the_table_gives_no_finding(tmp_path: Path) -> None:
    test = [row(100 + k) for k in range(50)]
    assert make(tmp_path, taiwan_tourist_resources_test=test, taiwan_tourist_resources_dev=dev(10)) == ()


def test_comparable_text_ignores_width_case_and_punctuation(tmp_path: Path) -> None:
    (tmp_path / "soup_test.jsonl").write_text(json.dumps(row(1, question="ＤＮＡ 是什麼?")) + "\n", encoding="utf-8")
    (question,) = load_questions(tmp_path).get("soup").test
    assert comparable_text(question) == "dna是什麼"
