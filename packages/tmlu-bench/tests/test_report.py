"""What the pages show."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from exam_fakes import make_question

from tmlu_bench._aggregate import SummaryOptions, summarise
from tmlu_bench._compare import CompareOptions, compare_runs, compared_run
from tmlu_bench._outcomes import ItemFailure, ItemResult, Outcome
from tmlu_bench._report import exam_report, item_samples
from tmlu_bench._report_runs import runs_report
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
    assert "1 of them ended in error in some run and are left out by choice." in page
    assert "b: 1 questions with errors left out by --exclude-errors" in page
    assert "+100.0 pp" in page
