"""The page that the quickstart ends with: one section per stage, and the way to each stage's own report."""

from typing import TYPE_CHECKING, Any

from twllm_runs.report import (
    Bar,
    Bars,
    Fact,
    Figure,
    Figures,
    IntervalRow,
    Intervals,
    Link,
    Links,
    Prose,
    Report,
    Section,
    render_report,
)
from twllm_types import RunManifest

if TYPE_CHECKING:
    from llm_eval.jobs import JudgeRun
    from tmlu_bench.exam import ExamRun
    from tw_corpus.curation import Curation

_ABOUT_THE_MODEL = (
    "The model is a two-layer Llama with random weights and a tokenizer trained on the curated corpus. It has learned "
    "nothing: its accuracy is chance, and the interval should hold chance. This shows that the exam runs, not that a "
    "model is good."
)


_ABOUT_THE_JUDGE = (
    "Recorded: the judge's answers were written by hand for this sample and are replayed; no model judged here. The "
    "stage shows prompts, parsing and figures, and says nothing of any judge."
)


def render_quickstart(manifest: RunManifest, curation: "Curation", exam: "ExamRun", judgements: "JudgeRun") -> str:
    """Return `report.html`.

    Args:
        manifest: of the quickstart.
        curation: finished.
        exam: finished.
        judgements: finished.
    """
    return render_report(
        Report(
            title="taiwan-llm: quickstart",
            subtitle="A curated corpus, an examined model and judged answers, on what ships with the package",
            facts=tuple(Fact(name=name, value=version) for name, version in sorted(manifest.packages.items())),
            sections=(_corpus(curation), _exam(exam), _judge(judgements)),
        )
    )


def _corpus(curation: "Curation") -> Section:
    counts: Any = curation.summary["counts"]
    shown = tuple(
        Figure(label=name.removeprefix("num_"), value=int(number)) for name, number in counts.items() if number
    )
    return Section(
        title="1. Curation (tw-corpus)",
        intro="Invented pages and records, written to meet every outcome once.",
        blocks=(
            Figures(items=(*shown, *_contamination(curation))),
            Links(links=(Link(path="corpus/report.html", label="report of the curation"),)),
        ),
    )


def _contamination(curation: "Curation") -> tuple[Figure, ...]:
    rows: Any = curation.summary["contamination"]
    return tuple(
        Figure(
            label="exam questions found in the corpus",
            value=int(row["found"]),
            note=f"of {row['found'] + row['clean']} looked for; {row['too_short']} are too short",
        )
        for row in rows
    )


def _exam(exam: "ExamRun") -> Section:
    overall = exam.summary.overall
    outcomes = tuple(str(outcome) for outcome in overall.counts)
    numbers = tuple(float(number) for number in overall.counts.values())
    figures = [Figure(label="chance", value=f"{overall.chance:.0%}")]
    if overall.micro is not None:
        figures.insert(0, Figure(label="accuracy", value=overall.micro))
    return Section(
        title="2. Exam (tmlu-bench)",
        intro="Thirty invented questions in three subjects, five worked examples each, protocol tmlu-direct.",
        blocks=(
            Prose(paragraphs=(_ABOUT_THE_MODEL,)),
            Figures(items=tuple(figures)),
            Bars(title="Outcomes", series=outcomes, bars=(Bar(label="questions", values=numbers),), unit="questions"),
            Links(links=(Link(path="exam/report.html", label="report of the exam"),)),
        ),
    )


def _judge(judgements: "JudgeRun") -> Section:
    rows = tuple(
        IntervalRow(label=group.name, estimate=group.overall)
        for group in judgements.summary.systems
        if group.overall is not None
    )
    return Section(
        title="3. Judge (llm-eval), recorded",
        intro="Twelve invented answers of three invented systems; four dimensions in one call, scores from 0 to 5.",
        blocks=(
            Prose(paragraphs=(_ABOUT_THE_JUDGE,)),
            Intervals(title="Overall score by system", rows=rows, note="mean of the four dimensions"),
            Links(links=(Link(path="judge/report.html", label="report of the judge"),)),
        ),
    )
