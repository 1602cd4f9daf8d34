"""What the words of a command line mean, without running the command."""

from pathlib import Path

import pytest
from cyclopts import CycloptsError

from tw_corpus._cli import app


@pytest.mark.parametrize(
    "words",
    [
        "curate pages --output out --decontaminate exam.jsonl tmmluplus",
        "curate pages --decontaminate exam.jsonl tmmluplus --output out",
        "curate --output out --decontaminate exam.jsonl tmmluplus -- pages",
        "curate pages --output out --decontaminate exam.jsonl --decontaminate tmmluplus",
    ],
)
def test_curate_takes_every_file_behind_decontaminate_for_a_benchmark_and_none_for_an_input(words: str) -> None:
    _, bound, _ = app.parse_args(words.split(), exit_on_error=False, print_error=False)
    assert bound.arguments["inputs"] == [Path("pages")]
    assert bound.arguments["decontaminate"] == [Path("exam.jsonl"), Path("tmmluplus")]


@pytest.mark.parametrize(
    "words",
    ["curate --output out --decontaminate exam.jsonl pages", "curate pages --output out --decontaminate"],
)
def test_curate_without_inputs_or_without_benchmarks_behind_the_option_is_refused(words: str) -> None:
    with pytest.raises(CycloptsError, match="requires"):
        app.parse_args(words.split(), exit_on_error=False, print_error=False)


def test_redact_takes_every_word_behind_text_fields() -> None:
    words = "redact letters.jsonl --output clean.jsonl --text-fields title body"
    _, bound, _ = app.parse_args(words.split(), exit_on_error=False, print_error=False)
    assert bound.arguments["text_fields"] == ["title", "body"]
