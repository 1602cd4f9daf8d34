"""What a meta-evaluation shows in its page and on the terminal."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from llm_eval._meta_run import MetaInputs, MetaRun, MetaSettings, run_meta_evaluation
from llm_eval._show import show_meta


def invented_run(folder: Path, *, num_rated: int, num_items: int = 40) -> MetaRun:
    """Scores of all items of two systems, ratings of the first `num_rated` of each."""
    rng = np.random.default_rng(1)
    scores: list[Any] = []
    ratings: list[Any] = []
    for system in ("甲", "乙"):
        for at in range(num_items):
            merit = float(rng.normal())
            row = {"id": f"{system}{at}", "context": [["user", f"第{at}題"]], "response": "好", "system": system}
            scores.append({"id": row["id"], "scores": {"content": round(3 + merit, 2)}})
            human = [round(3 + merit + float(rng.normal())) for _ in range(2)] if at < num_rated else []
            ratings.append({**row, "human": {"content": human}})
    for name, rows in (("scores", scores), ("ratings", ratings)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    inputs = MetaInputs(ratings=folder / "ratings.jsonl", judgements=(folder / "scores.jsonl",))
    return run_meta_evaluation(inputs, MetaSettings(draws=20), output=folder / "meta")


def shown(found: MetaRun) -> str:
    console = Console(file=StringIO(), width=80)
    show_meta(console, found)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_corrected_means_of_few_labelled_units_say_so_with_their_number(tmp_path: Path) -> None:
    found = invented_run(tmp_path, num_rated=5)
    lines = [line for line in shown(found).splitlines() if "few labelled units" in line]
    assert lines == [
        f"  few labelled units: the corrected mean of {system}, content rests on 5 rated items or clusters; rate at "
        "least 10"
        for system in ("甲", "乙")
    ]
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert page.count(">5: few labelled units<") == 2
    assert "under 10 of them" in page


def test_corrected_means_of_enough_labelled_units_carry_no_warning(tmp_path: Path) -> None:
    found = invented_run(tmp_path, num_rated=10)
    assert "few labelled units" not in shown(found)
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert ": few labelled units" not in page


def test_items_without_a_rating_are_not_counted_as_rated(tmp_path: Path) -> None:
    found = invented_run(tmp_path, num_rated=5)
    assert found.summary["num_rated"] == 10
    assert "1 judge, 10 rated items, turn level" in (found.folder / "report.html").read_text(encoding="utf-8")


def test_page_says_why_a_coefficient_is_undefined_and_leaves_out_empty_columns(tmp_path: Path) -> None:
    # Each response has one word, so that its length is the same.
    page = (invented_run(tmp_path, num_rated=10).folder / "report.html").read_text(encoding="utf-8")
    assert "scores: length (undefined: constant x)" in page
    assert "scores: one rater" in page
    assert "repeats alike" not in page
