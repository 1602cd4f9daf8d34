"""Preferences from judged responses: reads items and judgements, chooses, and writes TRL's rows with a report.

The folder holds `dpo.jsonl` (`{prompt, chosen, rejected}`), `kto.jsonl` (`{prompt, completion, label}`, with thresholds
only), `details.jsonl` (ids, scores and margin of each row, in the same order), `summary.json` and `report.html`.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from llm_eval._items import JudgeItem, item_sha256
from llm_eval._judge_settings import OVERALL
from llm_eval._judge_stored import read_judge_run, read_judgements
from llm_eval._judge_summary import ItemScore, item_scores
from llm_eval._judgements import Judgement
from llm_eval._load_items import load_items
from llm_eval._pairwise_stored import read_swaps
from llm_eval._preferences import (
    NoPreference,
    PreferenceForm,
    PreferenceRules,
    Preferences,
    label_row,
    pair_row,
    select_preferences,
)
from llm_eval._report import item_text
from twllm_runs import RunState, describe_inputs, open_atomic, open_run, write_text_atomic
from twllm_runs.report import (
    Bar,
    Bars,
    Block,
    Fact,
    Figure,
    Figures,
    Prose,
    Report,
    Sample,
    Samples,
    Section,
    histogram_of,
    render_report,
)
from twllm_types import ConfigError, DataError, JsonObject

COMMAND = "llm-eval prefer"
DPO_NAME, KTO_NAME, DETAILS_NAME, REPORT_NAME = "dpo.jsonl", "kto.jsonl", "details.jsonl", "report.html"
_MAX_SAMPLES = 100
_REASONS = "dialogues and unscored responses are counted by item, the others by prompt or pair"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferInputs:
    """What preferences are made of.

    Attributes:
        items: file of the responses.
        judgements: folder of a judge's run, or its `judgements.jsonl`.
        pairwise: folder of a pairwise run over the same responses, or its `pairs.jsonl`; None for none.
    """

    items: Path
    judgements: Path
    pairwise: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferResult:
    """What was written.

    Attributes:
        folder: of the rows.
        num_pairs: rows of dpo.jsonl.
        num_labelled: rows of kto.jsonl.
        pair_outcomes: why there is no pair, by reason.
        label_outcomes: why there is no example, by reason.
    """

    folder: Path
    num_pairs: int
    num_labelled: int
    pair_outcomes: Mapping[str, int]
    label_outcomes: Mapping[str, int]


def prefer(
    inputs: PreferInputs,
    rules: PreferenceRules,
    *,
    output: Path,
    dimension: str = OVERALL,
    form: PreferenceForm = PreferenceForm.STANDARD,
) -> PreferResult:
    """Write preferences; a finished folder of the same inputs is read.

    Args:
        inputs: responses and what judges said of them.
        rules: when two responses make a pair.
        output: folder to write.
        dimension: whose scores decide; `overall` for the weighted mean.
        form: how rows are written.

    Raises:
        ConfigError: no item has a score of this dimension, or the swap check has nothing to go by.
        DataError: an input is damaged, a judgement is of no item, or it or a comparison is of another with its id.
        ArtifactError: the folder holds another run, or that of the judge was changed.
        RunError: the system refuses a write.
    """
    named = [("items", inputs.items), ("judgements", _file(inputs.judgements, "judgements.jsonl"))]
    if inputs.pairwise is not None:
        named.append(("pairwise", _file(inputs.pairwise, "pairs.jsonl")))
    with open_run(
        output,
        command=COMMAND,
        parameters={"rules": _rules_to_json(rules), "dimension": dimension, "form": form.value},
        inputs=describe_inputs(named),
        decisive_packages=("llm-eval",),
    ) as run:
        if run.state is RunState.FINISHED:
            return _stored_result(output, run.result)
        items = load_items(inputs.items)
        scores = _scores(inputs, items, dimension)
        swaps = None if inputs.pairwise is None else read_swaps(inputs.pairwise, {item.id: item for item in items})
        chosen = select_preferences(items, scores, rules, swaps=swaps)
        summary = _write(output, chosen, scores, form)
        write_text_atomic(output / REPORT_NAME, render_report(_report(chosen, scores, summary, dimension, rules)))
        run.finish(summary)
    return _stored_result(output, summary)


def _file(path: Path, name: str) -> Path:
    return path / name if path.is_dir() else path


def _rules_to_json(rules: PreferenceRules) -> JsonObject:
    return {
        "choice": rules.choice.value,
        "margin": rules.margin,
        "check_swap": rules.check_swap,
        "good_from": rules.good_from,
        "bad_to": rules.bad_to,
    }


def _scores(inputs: PreferInputs, items: Sequence[JudgeItem], dimension: str) -> dict[str, float]:
    known = {item.id: item for item in items}
    found = _judged(inputs, known)
    strangers = [score.item_id for score in found if score.item_id not in known]
    if strangers:
        raise DataError(
            f"{inputs.judgements}: judges {strangers[0]!r}, which is no item of {inputs.items} "
            f"({len(strangers):,} such); give the items that were judged"
        )
    names = sorted({name for score in found for name in score.values or {}})
    if dimension not in names:
        raise ConfigError(f"{inputs.judgements}: no item has a score of {dimension!r}; give one of {', '.join(names)}")
    return {
        score.item_id: score.values[dimension]
        for score in found
        if score.values is not None and dimension in score.values
    }


def _judged(inputs: PreferInputs, known: Mapping[str, JudgeItem]) -> tuple[ItemScore, ...]:
    """What a judge says of the items; one that it judged with another content under the same id is refused."""
    if inputs.judgements.is_dir():
        run = read_judge_run(inputs.judgements)
        judgements, weights = run.judgements, run.weights
        others = [item.id for item in run.items if item.id in known and item != known[item.id]]
    else:
        # A file alone holds no texts.
        judgements, weights = read_judgements(inputs.judgements)
        others = list(
            dict.fromkeys(row.item_id for row in judgements if row.item_id in known and not _judges(row, known))
        )
    if others:
        raise DataError(
            f"{inputs.judgements}: judges another item {others[0]!r} than {inputs.items} holds "
            f"({len(others):,} such); give the items that were judged"
        )
    return item_scores(judgements, weights=weights)


def _judges(judgement: Judgement, known: Mapping[str, JudgeItem]) -> bool:
    """Tell whether a judgement is of the item that has its id here, as far as it says what it judged."""
    item = known[judgement.item_id]
    if judgement.item_sha256 is not None:
        return judgement.item_sha256 == item_sha256(item)
    # Of earlier versions there is the cluster, which is a hash of the context where the item names none.
    return judgement.cluster in {None, item.cluster_key}


def _write(folder: Path, chosen: Preferences, scores: Mapping[str, float], form: PreferenceForm) -> JsonObject:
    pairs = [(pair_row(pair, form), pair) for pair in chosen.pairs]
    labels = [(label_row(row, form), row) for row in chosen.labelled]
    details: list[JsonObject] = []
    for row, pair in pairs:
        if not isinstance(row, NoPreference):
            details.append(
                {
                    "file": DPO_NAME,
                    "chosen": pair.chosen.id,
                    "rejected": pair.rejected.id,
                    "chosen_score": scores[pair.chosen.id],
                    "rejected_score": scores[pair.rejected.id],
                    "margin": pair.margin,
                    "is_swap_checked": pair.is_swap_checked,
                }
            )
    details.extend(
        {"file": KTO_NAME, "item": label.item.id, "score": label.score, "label": label.label}
        for row, label in labels
        if not isinstance(row, NoPreference)
    )
    written_pairs = [row for row, _ in pairs if not isinstance(row, NoPreference)]
    written_labels = [row for row, _ in labels if not isinstance(row, NoPreference)]
    _write_rows(folder / DPO_NAME, written_pairs)
    _write_rows(folder / KTO_NAME, written_labels)
    _write_rows(folder / DETAILS_NAME, details)
    return {
        "num_items": chosen.num_items,
        "num_prompts": chosen.num_prompts,
        "num_pairs": len(written_pairs),
        "num_labelled": len(written_labels),
        "num_desirable": sum(row["label"] is True for row in written_labels),
        "no_pair": _outcomes(chosen.pair_outcomes, len(pairs) - len(written_pairs)),
        "no_label": _outcomes(chosen.label_outcomes, len(labels) - len(written_labels)),
    }


def _outcomes(outcomes: Mapping[NoPreference, int], num_unclear: int) -> JsonObject:
    counts = Counter({reason.value: number for reason, number in outcomes.items()})
    counts[NoPreference.UNCLEAR_ROLES.value] += num_unclear
    return {name: number for name, number in counts.items() if number}


def _write_rows(path: Path, rows: Iterable[JsonObject]) -> None:
    with open_atomic(path, "w") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _stored_result(folder: Path, summary: JsonObject) -> PreferResult:
    return PreferResult(
        folder=folder,
        num_pairs=cast("int", summary["num_pairs"]),
        num_labelled=cast("int", summary["num_labelled"]),
        pair_outcomes=cast("dict[str, int]", summary["no_pair"]),
        label_outcomes=cast("dict[str, int]", summary["no_label"]),
    )


def _report(
    chosen: Preferences,
    scores: Mapping[str, float],
    summary: JsonObject,
    dimension: str,
    rules: PreferenceRules,
) -> Report:
    result = _stored_result(Path(), summary)
    facts = {"dimension": dimension, **{key: str(value) for key, value in _rules_to_json(rules).items() if value}}
    figures = Figures(
        items=(
            Figure(label="Pairs", value=result.num_pairs, note=f"of {chosen.num_prompts:,} prompts"),
            Figure(label="Labelled responses", value=result.num_labelled, note=f"of {chosen.num_items:,} items"),
        )
    )
    blocks: list[Block] = [figures]
    for title, taken, outcomes in (
        ("Why there is no pair", result.num_pairs, result.pair_outcomes),
        ("Why there is no label", result.num_labelled, result.label_outcomes),
    ):
        if outcomes:
            bar = Bar(label=title, values=(taken, *outcomes.values()))
            blocks.append(Bars(title=title, series=("taken", *outcomes), bars=(bar,), unit="cases", note=_REASONS))
    if chosen.pairs:
        margins = [pair.margin for pair in chosen.pairs]
        blocks.append(histogram_of(margins, title="Margins", x_label="difference of the scores", y_label="pairs"))
    samples = tuple(
        Sample(
            title=f"{pair.chosen.id} over {pair.rejected.id}",
            text=f"{item_text(replace(pair.chosen, response=None))}\n\n✓ {pair.chosen.response}"
            f"\n\n✗ {pair.rejected.response}",
            facts=(
                Fact(name="chosen", value=f"{scores[pair.chosen.id]:.3f}"),
                Fact(name="rejected", value=f"{scores[pair.rejected.id]:.3f}"),
            ),
        )
        for pair in chosen.pairs[:_MAX_SAMPLES]
    )
    pairs_note = f"{len(samples):,} of {len(chosen.pairs):,} pairs"
    shown = Samples(title="Pairs", samples=samples, note=pairs_note) if samples else Prose(paragraphs=("No pair.",))
    return Report(
        title="llm-eval: preferences",
        subtitle=f"{result.num_pairs:,} pairs, {result.num_labelled:,} labelled responses",
        facts=tuple(Fact(name=name, value=value) for name, value in facts.items()),
        sections=(Section(title="Result", blocks=tuple(blocks)), Section(title="Pairs", blocks=(shown,))),
    )
