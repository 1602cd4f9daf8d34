"""What the pages show."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import make_question

from tmlu_bench._aggregate import summarise
from tmlu_bench._asked import overview
from tmlu_bench._compare import CompareOptions, compare_runs, compared_run
from tmlu_bench._outcomes import ItemFailure, ItemResult, Outcome
from tmlu_bench._report import exam_report, item_samples
from tmlu_bench._report_runs import runs_report
from tmlu_bench._summary import SummaryOptions
from twllm_runs.report import render_report

GROUPS = {"s": "stem"}


def make(number: int, outcome: Outcome, **more) -> ItemResult:
    return ItemResult(
        subject="s",
        question_id=f"s-{number}",
        order=(1, 0, 2, 3),
        gold="A",
        choice={Outcome.CORRECT: "A", Outcome.WRONG: "C"}.get(outcome),
        outcome=outcome,
        failure=ItemFailure(kind="timeout", message="no answer in 30 s") if outcome is Outcome.ERROR else None,
        **more,
    )


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def render(items: list[ItemResult], *, exclude_errors: bool = False, **more) -> str:
    summary = summarise(items, groups=GROUPS, options=SummaryOptions(exclude_errors=exclude_errors))
    return text_of(render_report(exam_report(summary, items, model="hf:tiny", setting={"seed": "0"}, **more)))


ITEMS = [
    make(0, Outcome.CORRECT, logprobs={"A": -0.1, "B": -3.0}, captured_mass=0.95),
    make(1, Outcome.WRONG, logprobs={"A": -2.0, "C": -0.2}, captured_mass=0.95),
    make(2, Outcome.UNPARSED, response="不知道", extraction="refused"),
]


def test_report_shows_question_response_and_both_letters_as_shown() -> None:
    questions = {item.key: make_question("s", number) for number, item in enumerate(ITEMS)}
    page = render(ITEMS, questions=questions)
    assert "第2題：下列何者" in page
    assert "→ 不知道" in page
    assert "B (originally A)" in page
    assert "Expected calibration error" in page
    assert "Mean captured mass" in page


def test_report_with_errors_shows_no_headline_and_says_why() -> None:
    page = render([*ITEMS, make(3, Outcome.ERROR)])
    assert "No headline" in page
    assert "1 of 4 items ended in error" in page
    assert "timeout: no answer in 30 s" in page
    assert "Accuracy, micro" not in page


def test_report_with_errors_left_out_says_so_beside_the_headline() -> None:
    page = render([*ITEMS, make(3, Outcome.ERROR)], exclude_errors=True)
    assert "Accuracy, micro" in page
    assert "questions with errors, by --exclude-errors" in page


def test_report_without_choices_has_nothing_to_say_on_positions() -> None:
    assert "No item has a choice, so nothing can be said." in render([make(1, Outcome.UNPARSED)])


@pytest.mark.parametrize("most", [3, 7, 20])
def test_samples_are_at_most_as_many_as_asked_and_hold_rare_outcomes(most: int) -> None:
    items = [make(number, Outcome.CORRECT) for number in range(40)] + [make(99, Outcome.UNPARSED)]
    samples = item_samples(items, {}, max_samples=most)
    assert len(samples.samples) == most
    assert any("unparsed" in sample.tags for sample in samples.samples)
    assert samples.note.startswith(f"{most} of 41 items")


def test_samples_of_few_items_are_all_of_them() -> None:
    assert item_samples(ITEMS, {}, max_samples=10).note == "all items"


def test_leaderboard_ranks_by_micro_and_puts_withheld_runs_last() -> None:
    good = [make(number, Outcome.CORRECT) for number in range(4)]
    bad = [make(number, Outcome.WRONG) for number in range(4)]
    broken = [make(number, Outcome.ERROR) for number in range(4)]
    runs = [(name, summarise(items, groups=GROUPS)) for name, items in (("x", broken), ("y", bad), ("z", good))]
    page = text_of(render_report(runs_report(runs)))
    table = page[page.index("unparsed and truncated answers count as wrong") :]
    assert table.index("z ") < table.index("y ") < table.index("x ")
    assert "x: 4 of 4 items ended in error" in page


def test_leaderboard_shows_what_differs_and_what_was_left_out() -> None:
    first = [make(number, Outcome.CORRECT) for number in range(5)]
    second = [make(number, Outcome.WRONG if number else Outcome.ERROR) for number in range(5)]
    options = CompareOptions(allow_different=True, exclude_errors=True)
    comparison = compare_runs(
        [compared_run("a", first, {"form": "raw"}), compared_run("b", second, {"form": "chat"})], options
    )
    summaries = [
        (name, summarise(items, groups=GROUPS, options=SummaryOptions(exclude_errors=True)))
        for name, items in (("a", first), ("b", second))
    ]
    page = text_of(render_report(runs_report(summaries, comparison=comparison)))
    assert "Compared although different: form: raw (a), chat (b)." in page
    assert "1 more ended in error in some run and is left out by choice." in page
    assert "b: 1 question with errors left out by --exclude-errors" in page
    assert "+100.0 pp" in page


def test_leaderboard_of_runs_asked_alike_says_once_what_was_asked() -> None:
    runs = [(name, summarise([make(1, Outcome.CORRECT)], groups=GROUPS)) for name in ("a", "b")]
    asked = overview({name: {"protocol": "p@1", "shots": "5", "sample": "1 of 9 questions"} for name in ("a", "b")})
    page = text_of(render_report(runs_report(runs, asked=asked)))
    assert "protocol p@1 shots 5 sample 1 of 9 questions" in page
    assert "no ranking" not in page


def test_leaderboard_of_runs_asked_otherwise_says_so_and_how() -> None:
    runs = [(name, summarise([make(1, Outcome.CORRECT)], groups=GROUPS)) for name in ("a", "b")]
    asked = overview({"a": {"protocol": "p@1", "shots": "5"}, "b": {"protocol": "p@1", "shots": "0"}})
    page = text_of(render_report(runs_report(runs, asked=asked)))
    assert "The runs were not asked alike: their scores are no ranking shots: 5 (a), 0 (b)" in page
    assert "run shots a 5 b 0" in page


def test_runs_on_folders_of_other_names_but_equal_questions_do_not_differ() -> None:
    asked = overview({"a": {"data": "x", "data sha256": "1"}, "b": {"data": "y", "data sha256": "1"}})
    assert (asked.different, asked.common) == ((), {"data sha256": "1"})
    assert asked.by_run == {"a": {"data": "x"}, "b": {"data": "y"}}


def test_outcomes_of_all_items_are_not_added_to_those_of_the_groups() -> None:
    legend = render_report(exam_report(summarise(ITEMS, groups=GROUPS), ITEMS, model="m", setting={}))
    legend = legend[legend.index('<ul class="legend">') :]
    assert "2" not in text_of(legend[: legend.index("</ul>")])


def test_macro_over_groups_says_how_few_subjects_it_covers() -> None:
    other = replace(ITEMS[0], subject="none")
    page = render([*ITEMS, other])
    assert "each group alike; 1 group, 1 of 2 subjects, the others have no group" in page
    runs = [("a", summarise([*ITEMS, other], groups=GROUPS)), ("b", summarise(ITEMS, groups=GROUPS))]
    board = text_of(render_report(runs_report(runs)))
    assert "a: the macro average over groups is of 1 group, 1 of 2 subjects" in board
    assert "b: the macro average" not in board


def test_report_with_errors_counts_their_kinds() -> None:
    page = render([*ITEMS, make(3, Outcome.ERROR), make(4, Outcome.ERROR)])
    assert "errors: 2 timeout" in page
    assert "1 question;" in render([ITEMS[0]])


def test_log_probabilities_of_permuted_items_carry_the_letters_that_are_shown() -> None:
    page = render(ITEMS)
    assert "log-probabilities A (originally B) -3.000, B (originally A) -0.100" in page
    assert "log-probabilities B (originally A) -2.000, C -0.200" in page


def test_report_and_leaderboard_name_subjects_without_any_answer() -> None:
    items = [*ITEMS, replace(make(3, Outcome.ERROR), subject="lost")]
    line = "in no figure, as all their questions ended in error: lost"
    assert line in render(items, exclude_errors=True)
    assert line not in render(ITEMS, exclude_errors=True)
    summary = summarise(items, groups=GROUPS, options=SummaryOptions(exclude_errors=True))
    page = text_of(render_report(runs_report([("a", summary)], remarks=("b has no run: no such folder",))))
    assert f"a: {line}" in page
    assert "b has no run: no such folder" in page
