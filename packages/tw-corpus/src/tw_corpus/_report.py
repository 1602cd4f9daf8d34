"""The page that a curation ends with."""

from collections.abc import Mapping
from typing import Any

from tw_corpus._pii import redact
from tw_corpus._plugin_summary import QUANTILES
from tw_corpus._summary import genre_pass_rates
from tw_corpus._tally import EXACT_DUPLICATE, KEPT, NEAR_DUPLICATE, NearMiss, Tally, totals
from tw_corpus._tally import Sample as TallySample
from twllm_runs.report import (
    Bar,
    Bars,
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
    Sample,
    Samples,
    Section,
    Table,
    render_report,
)
from twllm_runs.statistics import proportion_estimate
from twllm_types import JsonObject, RunManifest

_MAX_INPUTS = 40


def render_curation_report(manifest: RunManifest, summary: JsonObject, documents: Tally) -> str:
    """Return `report.html`: funnel, pass rates, documents near a threshold, samples, reading, throughput.

    Args:
        manifest: of the run.
        summary: from `summarize`.
        documents: tallies of all stages, merged.
    """
    content: Any = summary
    recipe: Any = manifest.parameters["recipe"]
    report = Report(
        title="tw-corpus: curation report",
        subtitle=recipe["description"] or "Curation of Taiwanese Mandarin text",
        facts=(
            Fact(name="command", value=manifest.command),
            Fact(name="inputs", value=f"{content['inputs']['num_files']:,} files"),
            Fact(name="tasks", value=f"{content['inputs']['num_tasks']:,}"),
            *(Fact(name=name, value=version) for name, version in sorted(manifest.packages.items())),
        ),
        sections=(
            _overview(content, documents),
            _funnel(documents),
            _genres(documents),
            _near(documents),
            _clusters(content),
            _samples(documents),
            _language(content),
            *_plugins(content),
            _contamination(content),
            _reading(content),
            _files(contaminated=bool(content["contamination"])),
        ),
    )
    return render_report(report)


def _overview(content: Any, documents: Tally) -> Section:
    counts, timing = content["counts"], content["timing"]
    num_judged = documents.num_documents.total() - counts["num_unmeasured"]
    passed = counts["num_kept"] + counts["num_duplicates"] + counts["num_near_duplicates"]
    kept_chars = totals(documents.num_chars, 2).get((KEPT,), 0)
    figures = Figures(
        items=(
            Figure(label="records read", value=counts["num_records"]),
            Figure(label="documents kept", value=counts["num_kept"], note=f"{kept_chars:,} characters"),
            Figure(label="rejected by a rule", value=counts["num_rejected"]),
            *_unmeasured(counts),
            Figure(label="exact duplicates", value=counts["num_duplicates"]),
            Figure(label="near-duplicates", value=counts["num_near_duplicates"]),
            Figure(label="faults", value=counts["num_faults"], note="could not be read; see faults.jsonl"),
            Figure(
                label="passed the rules",
                value=proportion_estimate(passed, num_judged),
                note="duplicates count as passed",
            ),
            _throughput(timing),
        )
    )
    return Section(title="Overview", blocks=(figures,))


def _unmeasured(counts: Any) -> tuple[Figure, ...]:
    num_unmeasured = counts["num_unmeasured"]
    if not num_unmeasured:
        return ()
    return (Figure(label="not measured", value=num_unmeasured, note="a plug-in measure with a threshold failed"),)


def _throughput(timing: Any) -> Figure:
    if timing["seconds"] is None:
        return Figure(label="throughput", value="not measured", note="the run was continued")
    return Figure(
        label="throughput",
        value=f"{timing['input_bytes_per_second'] / 1e6:.2f} MB/s",
        note=f"of input, wall clock, {timing['seconds']:.1f} s",
    )


def _funnel(documents: Tally) -> Section:
    by_input = totals(documents.num_documents, 0, 2)
    sizes = {name: count for (name,), count in totals(documents.num_documents, 0).items()}
    inputs = sorted(sizes, key=lambda name: (-sizes[name], name))
    shown = inputs[:_MAX_INPUTS]

    def bar(name: str) -> Bar:
        kept = by_input.get((name, KEPT), 0)
        duplicates = by_input.get((name, EXACT_DUPLICATE), 0) + by_input.get((name, NEAR_DUPLICATE), 0)
        return Bar(label=_masked(name), values=(kept, duplicates, sizes[name] - kept - duplicates))

    bars = Bars(
        title="Documents by input",
        series=("kept", "duplicates", "left out"),
        bars=tuple(bar(name) for name in shown),
        scale="common",
        unit="documents",
        note="" if len(inputs) == len(shown) else f"the {len(shown)} largest of {len(inputs)} inputs",
    )
    table = Table(
        title="Outcome by input and reason",
        columns=(
            Column(title="input"),
            Column(title="outcome", kind=ColumnKind.CODE),
            Column(title="documents", kind=ColumnKind.COUNT),
            Column(title="share of the input", kind=ColumnKind.SHARE),
            Column(title="characters", kind=ColumnKind.COUNT),
        ),
        rows=tuple(
            (_masked(name), outcome, count, count / sizes[name], num_chars)
            for ((name, outcome), count), num_chars in zip(
                by_input.items(), totals(documents.num_chars, 0, 2).values(), strict=True
            )
        ),
        note="reasons are names of rules in the recipe",
    )
    blocks = (bars, table) if inputs else (Prose(paragraphs=("No document could be read.",)),)
    return Section(title="Funnel", blocks=blocks)


def _genres(documents: Tally) -> Section:
    rates = genre_pass_rates(documents)
    rows = tuple(IntervalRow(label=genre, estimate=estimate) for genre, estimate in rates.items())
    block = Intervals(title="Share of documents that pass the rules", rows=rows, note="95 % Wilson intervals")
    return Section(
        title="Pass rate by genre",
        blocks=(block,) if rows else (Prose(paragraphs=("No document could be read.",)),),
        intro="The genre is the field `genre` of the input; documents without one stand under “-”.",
    )


def _near(documents: Tally) -> Section:
    misses = [miss for rule in sorted(documents.near) for miss in documents.near[rule]]
    block = (
        Samples(title="Nearest documents", samples=tuple(map(_near_sample, misses)))
        if misses
        else Prose(paragraphs=("No document lies within a tenth of a threshold.",))
    )
    return Section(
        title="Near a threshold",
        blocks=(block,),
        intro="Documents within a tenth of a threshold, kept or rejected: where moving it would change the outcome.",
    )


def _clusters(content: Any) -> Section:
    clusters = content["near_duplicate_clusters"]
    table = Table(
        title="Clusters by number of documents",
        columns=(Column(title="documents"), Column(title="clusters", kind=ColumnKind.COUNT)),
        rows=tuple(clusters["sizes"].items()),
        note=f"{clusters['num_clusters']:,} clusters",
    )
    largest = Table(
        title="Largest clusters",
        columns=(
            Column(title="document that stayed", kind=ColumnKind.CODE),
            Column(title="input"),
            Column(title="documents", kind=ColumnKind.COUNT),
        ),
        rows=tuple((row["kept_id"], row["input"], row["size"]) for row in clusters["largest"]),
    )
    none = Prose(paragraphs=("No near-duplicates were found, or the recipe does not look for them.",))
    return Section(
        title="Near-duplicate clusters",
        blocks=(table, largest) if clusters["num_clusters"] else (none,),
        intro="Documents that are alike, in pairs or by way of others; one of each cluster stays. "
        "Exact copies were dropped before and do not count.",
    )


def _near_sample(miss: NearMiss) -> Sample:
    return Sample(
        text=miss.excerpt,
        title=_masked(miss.id),
        tags=(miss.rule, "kept" if miss.kept else "rejected"),
        facts=(
            Fact(name="measured", value=f"{miss.value:.4g}"),
            Fact(name="threshold", value=f"{miss.threshold:.4g}"),
            Fact(name="input", value=_masked(miss.source)),
        ),
    )


def _masked(name: str) -> str:
    """Return a name as the report shows it; ids and file names may hold personal data too."""
    return redact(name).text


def _samples(documents: Tally) -> Section:
    order = sorted(documents.samples, key=lambda outcome: (outcome != KEPT, outcome))
    samples = tuple(_outcome_sample(sample) for outcome in order for sample in documents.samples[outcome])
    return Section(
        title="Samples",
        blocks=(Samples(title="Documents by outcome", samples=samples),) if samples else (),
        intro="Chosen by a hash of the document id: random, and the same on every run. Texts are cut.",
    )


def _outcome_sample(sample: TallySample) -> Sample:
    return Sample(
        text=sample.excerpt,
        title=_masked(sample.id),
        tags=(sample.outcome, _masked(sample.source)),
        facts=(
            *((Fact(name="decided", value=_masked(sample.detail)),) if sample.detail else ()),
            Fact(name="characters", value=f"{sample.num_chars:,}"),
        ),
    )


def _language(content: Any) -> Section:
    return Section(
        title="Variety and personal data",
        blocks=(
            _rows("Documents by variety of the wording", content["variants"], ("variant", "script", "converted")),
            _counts("Personal data found", content["personal_data"], "kind", "findings"),
        ),
        intro="The variety is a tag unless the recipe says otherwise; values of personal data are shown nowhere.",
    )


def _plugins(content: Any) -> tuple[Section, ...]:
    rows = content["plugin_measures"]
    if not rows:
        return ()
    table = Table(
        title="Documents and values by measure",
        columns=(
            Column(title="measure", kind=ColumnKind.CODE),
            *(Column(title=title, kind=ColumnKind.COUNT) for title in ("measured", "passed", "rejected", "failed")),
            *(Column(title=name, kind=ColumnKind.NUMBER) for name in QUANTILES),
        ),
        rows=tuple(map(_plugin_row, rows)),
        note="quantiles to two significant digits, over the documents that no earlier step dropped",
    )
    intro = "Plug-in measures of the recipe. A failure is no value: see the reasons failed_… under Funnel and Samples."
    return (Section(title="Plug-in measures", blocks=(table,), intro=intro),)


def _plugin_row(row: Any) -> tuple[Any, ...]:
    counts = (row["num_measured"], row["num_passed"], sum(row["rejected"].values()), row["num_failed"])
    quantiles: Any = row["quantiles"] or dict.fromkeys(QUANTILES)
    return (row["measure"], *counts, *(quantiles[name] for name in QUANTILES))


def _contamination(content: Any) -> Section:
    rows = tuple((row["benchmark"], row["found"], row["clean"], row["too_short"]) for row in content["contamination"])
    table = Table(
        title="Benchmark items in the corpus",
        columns=(
            Column(title="benchmark"),
            Column(title="found, documents dropped", kind=ColumnKind.COUNT),
            Column(title="not found", kind=ColumnKind.COUNT),
            Column(title="too short to look for", kind=ColumnKind.COUNT),
        ),
        rows=rows,
        note="" if rows else "no benchmark was given; name some with --decontaminate",
    )
    return Section(title="Contamination", blocks=(table,))


def _reading(content: Any) -> Section:
    return Section(
        title="Reading and normalisation",
        blocks=(
            _rows("Encodings of pages", content["encodings"], ("encoding", "evidence")),
            _rows("Faults", content["faults"], ("input", "reason")),
            _rows("Ignored on purpose", content["ignored"], ("input", "kind")),
            _counts("Script of documents", content["scripts"], "script", "documents"),
            _counts("Changes by normalisation", content["normalisation"], "change", "characters"),
            _counts("Boilerplate lines removed", content["boilerplate_lines"], "rule", "lines"),
        ),
    )


def _rows(title: str, rows: Any, names: tuple[str, ...]) -> Table:
    return Table(
        title=title,
        columns=(*(Column(title=name) for name in names), Column(title="number", kind=ColumnKind.COUNT)),
        rows=tuple((*(_masked(row[name]) for name in names), row["count"]) for row in rows),
        note="" if rows else "none",
    )


def _counts(title: str, counts: Mapping[str, int], name: str, unit: str) -> Table:
    return Table(
        title=title,
        columns=(Column(title=name), Column(title=unit, kind=ColumnKind.COUNT)),
        rows=tuple(sorted(counts.items())),
        note="" if counts else "none",
    )


def _files(*, contaminated: bool) -> Section:
    links = (
        *(
            (Link(path="contamination.jsonl", note="every benchmark item with outcome and span"),)
            if contaminated
            else ()
        ),
        Link(path="summary.json", note="every count of this page"),
        Link(path="run.json", note="inputs with hashes, recipe, versions"),
        Link(path="README.md", note="dataset card"),
        Link(path="faults.jsonl", note="what could not be read, with file and position"),
        Link(path="documents", note="shards"),
        Link(path="rejected", note="rejected documents with reason and measures; tw-corpus inspect shows them"),
    )
    return Section(title="Files", blocks=(Links(links=links),))
