"""Tables of the variant benchmark: lists of Markdown lines made from scored texts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from variants_peers import Said

from tw_corpus import Script
from tw_corpus._variant import Variant, VariantVerdict
from tw_corpus._variant._model import TRAINED
from tw_corpus._variant_evaluation import LabelFigures, Scored, converted_auroc, figures_of
from twllm_runs.statistics import proportion_estimate
from twllm_types import Estimate

SEED = 0
OURS = "tw-corpus"


def written(estimate: Estimate | None, *, percent: bool = True) -> str:
    """A figure with its interval; a dash where there is none."""
    if estimate is None or estimate.mean is None:
        return "–"
    scale, digits = (100, 1) if percent else (1, 4)
    point = f"{scale * estimate.mean:.{digits}f}"
    if estimate.ci_low is None or estimate.ci_high is None:
        return point
    return f"{point} [{scale * estimate.ci_low:.{digits}f}, {scale * estimate.ci_high:.{digits}f}]"


def share(num: int, n: int) -> str:
    """A share with its Wilson interval and counts."""
    return f"{written(proportion_estimate(num, n))} ({num}/{n})" if n else "–"


def label_table(scored: Sequence[Scored], peers: Mapping[str, Said]) -> list[str]:
    """Precision, recall and F1 of each label, ours first."""
    truth = [item.sample.label for item in scored]
    clusters = [item.sample.cluster for item in scored]
    said: dict[str, list[Variant | None]] = {OURS: [item.verdict.label for item in scored]}
    said |= {name: [peer(item.sample.text) for item in scored] for name, peer in peers.items()}
    lines = ["| tool | label | n | precision | recall | F1 |", "|---|---|---|---|---|---|"]
    for name, labels in said.items():
        # A label that a tool cannot say has no row.
        lines += [
            f"| {name} | {figures.label} | {figures.n} | {_three(figures)} |"
            for figures in figures_of(truth, labels, clusters, seed=SEED)
            if name == OURS or figures.label in labels
        ]
    return lines


def _three(figures: LabelFigures) -> str:
    return " | ".join(written(figure) for figure in (figures.precision, figures.recall, figures.f1))


def confusion_table(scored: Sequence[Scored]) -> list[str]:
    """Rows: what it is; columns: what was said."""
    counts = Counter((item.sample.label, item.verdict.label) for item in scored)
    lines = ["| is / said | " + " | ".join(Variant) + " |", "|---" * (len(Variant) + 1) + "|"]
    lines += [f"| {label} | " + " | ".join(str(counts[label, said]) for said in Variant) + " |" for label in TRAINED]
    return lines


def source_table(by_length: Mapping[str, Sequence[Scored]]) -> list[str]:
    """Share of each source and label that is found, by length."""
    sources = sorted({(item.sample.source, item.sample.label) for scored in by_length.values() for item in scored})
    lines = ["| source | label | " + " | ".join(_titles(by_length)) + " |", "|---" * (len(by_length) + 2) + "|"]
    for source, label in sources:
        cells: list[str] = []
        for scored in by_length.values():
            members = [item for item in scored if (item.sample.source, item.sample.label) == (source, label)]
            cells.append(share(sum(item.verdict.label is label for item in members), len(members)))
        lines.append(f"| {source} | {label} | " + " | ".join(cells) + " |")
    return lines


def _titles(by_length: Mapping[str, object]) -> list[str]:
    return [name if name == "sentences" else f"{name} ideographs" for name in by_length]


def script_table(by_length: Mapping[str, Sequence[Scored]]) -> list[str]:
    """Share of right scripts among texts that hold a deciding character."""
    lines = ["| texts | with a deciding character | right | said `mixed` |", "|---|---|---|---|"]
    for title, scored in zip(_titles(by_length), by_length.values(), strict=True):
        decided = [item for item in scored if item.verdict.script is not Script.UNDETERMINED]
        right = sum(item.verdict.script is item.script for item in decided)
        mixed = sum(item.verdict.script is Script.MIXED for item in decided)
        lines.append(f"| {title} | {len(decided)} of {len(scored)} | {share(right, len(decided))} | {mixed} |")
    return lines


def converted_table(by_length: Mapping[str, Sequence[Scored]]) -> list[str]:
    """Area under the curve and flagged texts, by length and converter."""
    lines = [
        "| texts | AUROC, all converters | s2t | s2tw | s2twp | s2hk | converted, flagged | genuine, flagged |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for title, scored in zip(_titles(by_length), by_length.values(), strict=True):
        genuine = [item for item in scored if item.script is Script.HANT and item.sample.converted_by is None]
        made = [item for item in scored if item.sample.converted_by is not None]
        cells = [written(converted_auroc([*genuine, *made], seed=SEED), percent=False)]
        for name in ("s2t", "s2tw", "s2twp", "s2hk"):
            of_one = [item for item in made if item.sample.converted_by == name]
            estimate = converted_auroc([*genuine, *of_one], seed=SEED)
            cells.append(f"{estimate.mean:.4f}" if estimate is not None and estimate.mean is not None else "–")
        cells += [_flagged(group) for group in (made, genuine)]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def _flagged(group: Sequence[Scored]) -> str:
    return share(sum(item.verdict.converted_from_simplified for item in group), len(group))


def flagged_table(by_length: Mapping[str, Sequence[Scored]]) -> list[str]:
    """Genuine Traditional texts that are flagged as converted, by source."""
    lines = ["| genuine source | label | " + " | ".join(_titles(by_length)) + " |"]
    lines.append("|---" * (len(by_length) + 2) + "|")
    genuine = {
        name: [item for item in scored if item.script is Script.HANT and item.sample.converted_by is None]
        for name, scored in by_length.items()
    }
    for source, label in sorted({(i.sample.source, i.sample.label) for items in genuine.values() for i in items}):
        cells: list[str] = []
        for items in genuine.values():
            members = [item for item in items if (item.sample.source, item.sample.label) == (source, label)]
            cells.append(_flagged(members))
        lines.append(f"| {source} | {label} | " + " | ".join(cells) + " |")
    return lines


def reliability_table(by_length: Mapping[str, Sequence[Scored]]) -> list[str]:
    """How often the label is right, by how probable it was said to be; every label weighs the same."""
    edges = [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0001]
    lines = [
        "| texts | " + " | ".join(f"{a:.2f}–{min(b, 1):.2f}" for a, b in pairwise(edges)) + " | ECE |",
        "|---" * (len(edges) + 1) + "|",
    ]
    for title, scored in zip(_titles(by_length), by_length.values(), strict=True):
        sizes = Counter(item.sample.label for item in scored)
        weights = np.array([1 / sizes[item.sample.label] for item in scored])
        said = np.array([item.verdict.probabilities[item.verdict.label] for item in scored])
        right = np.array([item.verdict.label is item.sample.label for item in scored], dtype=np.float64)
        cells: list[str] = []
        gap = 0.0
        for low, high in pairwise(edges):
            inside = (said >= low) & (said < high)
            if not inside.any():
                cells.append("–")
                continue
            weight = weights[inside]
            accuracy, mean = np.average(right[inside], weights=weight), np.average(said[inside], weights=weight)
            gap += float(weight.sum() / weights.sum() * abs(accuracy - mean))
            cells.append(f"{accuracy:.2f} (said {mean:.2f}, n {int(inside.sum())})")
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {gap:.3f} |")
    return lines


def genre_table(verdicts: Mapping[str, Sequence[VariantVerdict]]) -> list[str]:
    """Genuine Taiwanese documents by genre: labels, and texts flagged as converted."""
    lines = ["| genre | n | zh-TW | zh-HK | yue | zh-CN | other | undecided | flagged as converted |"]
    lines.append("|---" * 9 + "|")
    for genre, found in verdicts.items():
        counts = Counter(verdict.label for verdict in found)
        cells = [f"{100 * counts[label] / len(found):.1f} %" for label in Variant]
        undecided = sum(not verdict.decided for verdict in found)
        flagged = sum(verdict.converted_from_simplified for verdict in found)
        lines.append(
            f"| {genre} | {len(found)} | {' | '.join(cells)} | {100 * undecided / len(found):.1f} % | "
            f"{share(flagged, len(found))} |"
        )
    return lines
