"""The page of a run: what was generated, why rows were kept, what the classifier mixes up, what it cost."""

from pathlib import Path

from icda._generate import REJECTED_NAME
from icda._guards import Guard
from icda._recipe import IcdaRecipe
from icda._report_candidates import drift_section, intent_section, pvi_section, rule_section
from icda._report_results import result_section
from icda._run import IcdaRun, read_icda
from icda._run_score import ScoreRun, rejection_counts
from icda._words import cost_text, counts_text, guard_text, rule_title
from twllm_runs import recipe_to_json, write_text_atomic
from twllm_runs.report import (
    Block,
    Column,
    Fact,
    Figure,
    Figures,
    Link,
    Links,
    Prose,
    Report,
    Section,
    Table,
    render_report,
)
from twllm_types import JsonValue

REPORT_NAME = "report.html"
_FILES = {
    "generate": ("requests.jsonl", "candidates.jsonl", "rejected.jsonl", "summary.json"),
    "score": ("scores.jsonl", "held_out.jsonl", "thresholds.json", "summary.json"),
    "select": ("selected.jsonl", "decisions.jsonl", "review.csv", "summary.json"),
    "train": ("results.jsonl", "training.jsonl", "summary.json"),
}


def write_run_report(run: IcdaRun, recipe: IcdaRecipe) -> None:
    """Write `report.html` of a run into its folder."""
    write_text_atomic(run.folder / REPORT_NAME, render_report(_page(run, recipe, with_links=True)))


def write_report(folder: Path, output: Path) -> IcdaRun:
    """Write the page of a run elsewhere, without links to its files.

    Args:
        folder: of `icda run`.
        output: the HTML file.

    Raises:
        ArtifactError: the folder holds no run, or was changed.
        RunError: the system refuses the write.
    """
    recipe, run = read_icda(folder)
    write_text_atomic(output, render_report(_page(run, recipe, with_links=False)))
    return run


def _page(run: IcdaRun, recipe: IcdaRecipe, *, with_links: bool) -> Report:
    intents = _intents(run)
    sections = [Section(title="Overview", blocks=_overview(run))]
    if run.trained is not None:
        sections.append(result_section(run.trained))
    if run.selected is not None:
        sections.append(rule_section(run.selected))
    rejected = None if run.scored is None else run.scored.rejected
    sections.append(intent_section(run.generated, run.selected, intents, rejected=rejected))
    if run.scored is not None:
        sections.append(pvi_section(run.scored, run.selected, intents))
    if run.selected is not None:
        sections.append(drift_section(run.selected))
    sections.append(_settings_section(recipe))
    if with_links:
        sections.append(Section(title="Files", blocks=(_links(run),)))
    return Report(title="icda: a run", subtitle=recipe.description, facts=_facts(recipe), sections=tuple(sections))


def _intents(run: IcdaRun) -> tuple[str, ...]:
    if run.scored is not None:
        return tuple(run.scored.seed_counts)
    return () if run.generated is None else tuple(one.intent for one in run.generated.yields)


def _overview(run: IcdaRun) -> tuple[Block, ...]:
    figures: list[Figure] = []
    words: list[str] = []
    if run.generated is not None:
        figures.append(Figure(label="candidates generated", value=len(run.generated.candidates)))
        words.append(f"Generation took {cost_text(run.generated.tokens)}.")
    if run.scored is not None:
        source = f"held out: {run.scored.held_out.estimated_on.value}"
        figures.append(Figure(label="V-information of the seeds", value=run.scored.v_information, note=source))
        figures.append(Figure(label="accuracy of the judging classifier", value=run.scored.accuracy, note=source))
        words += _pool_words(run.scored)
    if run.selected is not None:
        figures.append(Figure(label="candidates kept", value=run.selected.num_kept["selected"]))
    if run.trained is not None:
        words.append(f"{run.trained.verdict[0].upper()}{run.trained.verdict[1:]}.")
        if run.trained.changes is not None:
            changes = run.trained.changes
            words.append(
                f"Reviewers rescued {changes.num_rescued:,} rows, dropped {changes.num_dropped:,}, relabelled "
                f"{changes.num_relabelled:,} and reworded {changes.num_reworded:,}."
            )
    words += [f"Guard: {guard_text(guard)}." for guard in _guards(run)]
    prose = (Prose(paragraphs=tuple(words)),) if words else ()
    return (Figures(items=tuple(figures)), *prose)


def _pool_words(scored: ScoreRun) -> list[str]:
    words: list[str] = []
    if scored.rejected is not None:
        num_rows = len(scored.candidates) + len(scored.rejected)
        words.append(
            f"Of {num_rows:,} rows of the pool, cleaning rejected {len(scored.rejected):,}: "
            f"{counts_text(rejection_counts(scored.rejected))}."
        )
    if scored.unknown_tokens is not None:
        words.append(
            f"{scored.unknown_tokens.share:.1%} of {scored.unknown_tokens.num_tokens:,} tokens of seeds, held-out rows "
            "and candidates are unknown to the encoder."
        )
    return words


def _guards(run: IcdaRun) -> tuple[Guard, ...]:
    scored = () if run.scored is None else run.scored.guards
    selected = () if run.selected is None else run.selected.guards
    return (*scored, *selected, *(() if run.trained is None else run.trained.guards))


def _links(run: IcdaRun) -> Links:
    files: dict[str, tuple[str, ...]] = dict(_FILES)
    if run.scored is not None and run.scored.rejected is not None:
        files["score"] = (*files["score"], REJECTED_NAME)
    stages = [*run.stages.items(), *(pair for draw in run.more_draws for pair in draw.stages.items())]
    return Links(links=tuple(Link(path=f"{folder}/{name}") for stage, folder in stages for name in files[stage]))


def _facts(recipe: IcdaRecipe) -> tuple[Fact, ...]:
    """What one has to know to read the page; all else is in the table of settings at its end."""
    classifier, thresholds = recipe.classifier, recipe.thresholds
    seen = "fine-tuned encoder" if classifier.kind == "encoder" else f"probe on {classifier.features.kind}"
    shots = recipe.data.num_shots
    return (
        Fact(name="judged by", value=seen),
        Fact(name="rule", value=rule_title(recipe.select.kind.value)),
        Fact(name="thresholds", value=thresholds.rule.value),
        *(() if shots is None else (Fact(name="seeds per intent", value=f"{shots}, drawn"),)),
        Fact(name="draws", value=str(recipe.train.draws)),
        Fact(name="seed", value=str(recipe.seed)),
    )


def _settings_section(recipe: IcdaRecipe) -> Section:
    content = recipe_to_json(recipe)
    # Where the data lie on one machine is no part of what made the result; their hashes are in each run.json.
    data = content["data"]
    if isinstance(data, dict):
        content["data"] = {name: value for name, value in data.items() if name not in {"files", "index"}}
    rows = tuple(pair for pair in _flat("", content) if pair[0] not in {"description", "engine"})
    table = Table(title="Settings", columns=(Column(title="setting"), Column(title="value")), rows=rows)
    return Section(title="Recipe", blocks=(table,))


def _flat(prefix: str, value: JsonValue) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for key, part in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else key, part)]
    return [] if value is None or value == [] else [(prefix, str(value))]
