"""The page that the quickstart ends with: one section per stage, and the way to each stage's own report."""

from typing import TYPE_CHECKING, Any

from twllm_runs.report import (
    Bar,
    Bars,
    Block,
    Column,
    ColumnKind,
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
    Table,
    render_report,
)
from twllm_types import RunManifest

if TYPE_CHECKING:
    from llm_eval.jobs import JudgeRun
    from tmlu_bench.exam import ExamRun
    from tw_corpus.curation import Curation
    from twllm_pipeline._arithmetic import ArithmeticRun
    from twllm_pipeline._intents import IntentsRun
    from twllm_pipeline._quickstart import Quickstart

_ABOUT_THE_MODEL = (
    "The model is a two-layer Llama with random weights and a tokenizer trained on the curated corpus. It has learned "
    "nothing: its accuracy is chance, and the interval should hold chance. This shows that the exam runs, not that a "
    "model is good."
)


_ABOUT_THE_JUDGE = (
    "Recorded: the judge's answers were written by hand for this sample and are replayed; no model judged here. The "
    "stage shows prompts, parsing and figures, and says nothing of any judge."
)
_ABOUT_THE_ARITHMETIC = (
    "A Llama of 0.35 million parameters learns from scratch to solve sums of two or three numbers, step by step. Then "
    "one iteration of Step-KTO: it samples solutions, a program checks each answer and each step, and it learns from "
    "both. The judge that evaluates also asks whether a step follows from the problem; the one that trains does not. "
    "Seeds are fixed, and the figures are shown whatever their sign; one seed says little (see benchmarks/step_kto)."
)
_ARITHMETIC_FIGURES = {
    "pass@1_greedy": "answers right, greedy",
    "pass@1_sampled": "answers right, temperature 1",
    "wrong_steps_sampled": "steps wrong, temperature 1",
    "stepwise_errors_sampled": "right answers that hold a wrong step, temperature 1",
}

_ABOUT_THE_INTENTS = (
    "Recorded: the generated lines were written by hand for this sample and are replayed; no model wrote them. One "
    "hand wrote seeds, test rows and lines, one after another, so a gain over the seeds says nothing of any generator "
    "or rule (see benchmarks/icda). The stage shows prompts, cleaning, selection and figures; character n-grams judge."
)
ARM_TITLES = {
    "seeds-only": "seeds only",
    "selected": "selected by PVI",
    "keep-all": "keep all",
    "random": "random, as many as selected",
    "argmax": "argmax agrees",
}


def render_quickstart(manifest: RunManifest, done: "Quickstart") -> str:
    """Return `report.html`.

    Args:
        manifest: of the quickstart.
        done: its stages, all finished.
    """
    return render_report(
        Report(
            title="taiwan-llm: quickstart",
            subtitle="A curated corpus, an examined model, judged answers, learned arithmetic, new utterances",
            facts=tuple(Fact(name=name, value=version) for name, version in sorted(manifest.packages.items())),
            sections=(
                _corpus(done.curation),
                _exam(done.exam),
                _judge(done.judgements),
                _arithmetic(done.arithmetic),
                _intents(done.intents),
            ),
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


def _arithmetic(run: "ArithmeticRun") -> Section:
    charts = tuple(
        Intervals(
            title=title.capitalize(),
            rows=(
                IntervalRow(label="before", estimate=run.before[name]),
                IntervalRow(label="after", estimate=run.after[name]),
            ),
        )
        for name, title in _ARITHMETIC_FIGURES.items()
    )
    return Section(
        title="4. Arithmetic with Step-KTO (step-kto)",
        intro="The same 100 problems before and after, four samples each at temperature 1.",
        blocks=(
            Prose(paragraphs=(_ABOUT_THE_ARITHMETIC,)),
            *charts,
            Links(links=(Link(path="arithmetic/loop/report.html", label="report of the loop"),)),
        ),
    )


def beyond_selection(run: "IntentsRun") -> str:
    """Say which plainer choices of rows reach a higher accuracy than the selection; "" where none does."""
    names = [ARM_TITLES[name] for name in run.above_selection]
    return f"Higher on these test rows than the selection: {'; '.join(names)}." if names else ""


def _intents(run: "IntentsRun") -> Section:
    words = (
        _ABOUT_THE_INTENTS,
        f"{run.verdict[0].upper()}{run.verdict[1:]}.",
        beyond_selection(run),
        *(f"Guard {warning}." for warning in run.warnings),
    )
    blocks: tuple[Block, ...] = (
        Prose(paragraphs=tuple(one for one in words if one)),
        Intervals(
            title="Accuracy on 180 test rows, by what the classifier is trained on",
            rows=tuple(IntervalRow(label=ARM_TITLES[arm], estimate=one) for arm, one in run.accuracies.items()),
            note="the seeds, and of the recorded lines those that the rule keeps",
        ),
        _intent_table(run),
        Links(links=(Link(path="intents/report.html", label="report of the intents"),)),
    )
    return Section(
        title="5. Intents (icda), recorded",
        intro="Twelve invented intents of a metro's help desk in Taiwanese Mandarin: five seeds, 15 test rows each.",
        blocks=blocks,
    )


def _intent_table(run: "IntentsRun") -> Table:
    titles = ("lines", "rejected in cleaning", "surplus", "dropped by PVI", "kept")
    columns = (
        Column(title="intent"),
        *(Column(title=title, kind=ColumnKind.COUNT) for title in titles),
        Column(title="reasons of cleaning"),
    )
    rows = tuple(
        (
            one.intent,
            one.num_lines,
            one.num_rejected,
            one.num_surplus,
            one.num_dropped,
            one.num_kept,
            ", ".join(f"{reason} {count}" for reason, count in one.reasons.items()) or "none",
        )
        for one in run.counts
    )
    return Table(title="Recorded lines by intent", columns=columns, rows=rows)
