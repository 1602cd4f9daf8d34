"""What a pairwise run shows: win rates, outcomes of every pair of systems, position bias, and the comparisons."""

from collections.abc import Mapping, Sequence

from llm_eval._load_answers import Answer, Question
from llm_eval._pair_judgements import PairJudgement, PairwiseSummary, named_rates
from llm_eval._pairwise import PairOutcome
from llm_eval._report import head_facts, model_title
from twllm_runs.report import (
    Bar,
    Bars,
    Cell,
    Column,
    ColumnKind,
    Fact,
    Figure,
    Figures,
    IntervalRow,
    Intervals,
    Report,
    Sample,
    Samples,
    Section,
    Table,
)

_MAX_SAMPLES = 200
_UNSCORED = "unscored"


def pairwise_report(
    summary: PairwiseSummary,
    judgements: Sequence[PairJudgement],
    *,
    questions: Mapping[str, Question],
    answers: Mapping[str, Mapping[str, Answer]],
    model: str,
    usage: str,
    setting: Mapping[str, str],
) -> Report:
    """Make the report of one run.

    Args:
        summary: its figures.
        judgements: last attempt of each comparison.
        questions: by id.
        answers: by system and question.
        model: the judge.
        usage: tokens and cost in words.
        setting: facts for the head.
    """
    figures = Figures(
        items=(
            Figure(label="Winner changes with the order", value=summary.flips, note="of the pairs compared in both"),
            Figure(label="First place wins", value=summary.first_place, note="of comparisons with a winner; 50 % fair"),
            Figure(label="Comparisons", value=summary.num_comparisons, note="both orders"),
            Figure(label="Failed", value=summary.num_failed, note="in no rate"),
        )
    )
    intervals = Intervals(
        title="Win rate by system",
        rows=tuple(IntervalRow(label=name, estimate=rate) for name, rate in summary.win_rates.items()),
        reference=0.5,
        reference_label="even",
        note="a win in both orders counts 1, a loss in both 0, all between one half; clustered by question",
    )
    return Report(
        title=f"llm-eval pairwise: {model_title(model)}",
        subtitle=f"{len(summary.win_rates):,} systems, {summary.num_comparisons:,} comparisons",
        facts=head_facts(setting, usage),
        sections=(
            Section(title="Result", blocks=(figures, intervals, _outcome_bars(summary))),
            Section(title="Pairs of systems", blocks=_pair_tables(summary)),
            Section(title="Comparisons", blocks=(_samples(judgements, questions, answers),)),
        ),
    )


def _outcome_bars(summary: PairwiseSummary) -> Bars:
    bars = tuple(
        Bar(
            label=f"{pair.a} (a), {pair.b} (b)",
            values=(*(pair.counts[outcome] for outcome in PairOutcome), pair.num_unscored),
        )
        for pair in summary.pairs
    )
    return Bars(
        title="Outcomes over both orders",
        series=(*(outcome.value for outcome in PairOutcome), _UNSCORED),
        bars=bars,
        scale="own",
        unit="questions",
    )


def _pair_tables(summary: PairwiseSummary) -> tuple[Table, Table]:
    """Two tables rather than one whose right would be out of sight."""

    def table(title: str, names: Sequence[str], note: str) -> Table:
        columns = (
            Column(title="a"),
            Column(title="b"),
            *(Column(title=name.replace("_", " "), kind=ColumnKind.ESTIMATE) for name in names),
        )
        rows: list[tuple[Cell, ...]] = []
        for pair in summary.pairs:
            figures = {"win_rate_of_a": pair.win_rate, **named_rates(pair.rates)}
            rows.append((pair.a, pair.b, *(figures[name] for name in names)))
        return Table(title=title, columns=columns, rows=tuple(rows), note=note)

    return (
        table("Pairs", ("win_rate_of_a", "flips"), "of the questions; flips: the winner changed with the order"),
        table("Shares of outcomes", ("a_wins", "b_wins", "ties", "half_ties"), "of the questions; Wilson intervals"),
    )


def _samples(
    judgements: Sequence[PairJudgement],
    questions: Mapping[str, Question],
    answers: Mapping[str, Mapping[str, Answer]],
) -> Samples:
    chosen = sorted(judgements, key=lambda row: row.failure is None)[:_MAX_SAMPLES]
    note = f"{len(chosen):,} of {len(judgements):,} comparisons, failures first; pairs.jsonl holds all"
    return Samples(title="Comparisons", samples=tuple(_sample(row, questions, answers) for row in chosen), note=note)


def _sample(
    row: PairJudgement, questions: Mapping[str, Question], answers: Mapping[str, Mapping[str, Answer]]
) -> Sample:
    key = row.key
    first, second = (key.b, key.a) if key.is_swapped else (key.a, key.b)
    said = row.failure.kind.value if row.failure is not None else f"{row.verdict.winner}" if row.verdict else ""
    facts = [Fact(name="shown first", value=first), Fact(name="verdict", value=said)]
    facts.extend(Fact(name="answer of the judge", value=text) for text in row.responses)
    texts = [questions[key.question_id].text, *(answers[name][key.question_id].text for name in (first, second))]
    return Sample(
        title=f"{key.question_id}: {first} and {second}",
        text="\n\n".join((texts[0], f"A → {texts[1]}", f"B → {texts[2]}")),
        tags=(said, first),
        facts=tuple(facts),
    )
