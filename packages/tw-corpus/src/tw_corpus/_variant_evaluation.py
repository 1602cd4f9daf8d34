"""How well a variant model does on held-out rows: figures with intervals, for sentences and for longer texts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tw_corpus._script import Script
from tw_corpus._variant._classify import classify
from tw_corpus._variant._model import TRAINED, VariantModel, load_variant_model
from tw_corpus._variant._types import Variant, VariantVerdict
from tw_corpus._variant_training_rows import Part, Row, read_rows, split_rows, text_key
from tw_corpus._variant_training_samples import (
    TO_SIMPLIFIED,
    TO_TRADITIONAL,
    Convert,
    Sample,
    Stream,
    load_converter,
    runs,
    sentences,
    single_sentences,
    streams,
)
from twllm_runs.statistics import bootstrap_estimate, proportion_estimate, ratio_estimate
from twllm_types import DataError, Estimate, EstimateUnit, JsonObject

# Ideographs in the longer texts.
LENGTHS = (50, 200, 1000)
_MAX_SENTENCES = 1500
_MAX_RUNS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A text and what was said of it.

    Attributes:
        sample: the text as it was given, with its true label.
        published: it is in the script in which its source published it.
        script: true script.
        verdict: what the model said.
    """

    sample: Sample
    published: bool
    script: Script
    verdict: VariantVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFigures:
    """Precision, recall and F1 of one label; a figure that has no denominator is None."""

    label: Variant
    n: int
    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None


def evaluate_variants(data_folder: Path, *, model_path: Path | None = None, seed: int = 0) -> JsonObject:
    """Score a model on the test part of the folder `zh_variants`.

    Args:
        data_folder: the folder `zh_variants` of the shared data.
        model_path: a model file; without, the model that ships.
        seed: of the draws and of the choice among many sentences of one source.

    Returns:
        By length ("sentences", "50", "200", "1000" ideographs): number of texts, precision, recall and F1 of each
        label with 95 % intervals, share of right scripts, and the area under the curve of converted text.

    Raises:
        DataError: a file of the folder is missing or not as its README says, or no row falls into the test part.
        ArtifactError: the model cannot be used.
        MissingDependencyError: the package `opencc` is not installed.
    """
    convert = load_converter()
    model = load_variant_model(model_path)
    held_out = held_out_samples(read_rows(data_folder), seed=seed)
    if not any(held_out.values()):
        raise DataError(f"{data_folder}: no sentence falls into the test part; give all files of zh_variants")
    found: JsonObject = {}
    for name, samples in held_out.items():
        scored = score(model, in_both_scripts(samples, convert))
        found[name] = {
            "num_texts": len(scored),
            "labels": {
                figures.label.value: {
                    "n": figures.n,
                    "precision": _json(figures.precision),
                    "recall": _json(figures.recall),
                    "f1": _json(figures.f1),
                }
                for figures in label_figures(scored, seed=seed)
            },
            "script": _json(script_figure(scored)),
            "converted_auroc": _json(converted_auroc(scored, seed=seed)),
        }
    return found


def _json(estimate: Estimate | None) -> JsonObject | None:
    if estimate is None:
        return None
    return {"mean": estimate.mean, "ci_low": estimate.ci_low, "ci_high": estimate.ci_high, "n": estimate.n}


def held_out_samples(rows: Sequence[Row], *, seed: int) -> Mapping[str, list[Sample]]:
    """Sentences and runs of 50, 200 and 1,000 ideographs of the test part, by name of the length.

    Lines that stand in several locales are left out (no detector can be right on them), and so are sentences of a
    document or conversation that also stand in another part.
    """
    parts = split_rows(rows)
    chosen = [row for row, part in zip(rows, parts, strict=True) if part is Part.TEST]
    others = [row for row, part in zip(rows, parts, strict=True) if part in {Part.TRAIN, Part.CALIBRATION}]
    return samples_of(chosen, exclude=known_sentences(others), seed=seed)


def known_sentences(rows: Iterable[Row]) -> frozenset[str]:
    """What `text_key` makes of every sentence."""
    return frozenset(text_key(sentence) for row in rows for sentence in sentences(row))


def samples_of(rows: Sequence[Row], *, exclude: frozenset[str], seed: int) -> Mapping[str, list[Sample]]:
    """Sentences and runs of each length, at most 1,500 and 300 of one source and label."""
    usable = [row for row in rows if row.converted_by is None and not row.shared]
    found = streams(usable, exclude=exclude)
    cut: dict[str, Callable[[Stream], Iterable[Sample]]] = {"sentences": single_sentences}
    for length in LENGTHS:
        cut[str(length)] = _cutter(length)
    rng = np.random.default_rng(seed)
    return {
        name: _at_most([sample for stream in found for sample in cutter(stream)], name == "sentences", rng)
        for name, cutter in cut.items()
    }


def _cutter(length: int) -> Callable[[Stream], Iterable[Sample]]:
    return lambda stream: runs(stream, length)


def _at_most(samples: Sequence[Sample], single: bool, rng: np.random.Generator) -> list[Sample]:  # noqa: FBT001
    limit = _MAX_SENTENCES if single else _MAX_RUNS
    by_source: dict[tuple[str, Variant], list[Sample]] = {}
    for sample in samples:
        by_source.setdefault((sample.source, sample.label), []).append(sample)
    kept: list[Sample] = []
    for members in by_source.values():
        order = sorted(rng.permutation(len(members))[:limit].tolist())
        kept += [members[index] for index in order]
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """A sample in one script, which it was published in or not."""

    sample: Sample
    script: Script
    published: bool


def in_both_scripts(samples: Sequence[Sample], convert: Convert) -> list[Rendering]:
    """Each sample as published and in the other script; conversions to Traditional take turns.

    Text that only the source turned into Simplified characters is given as published: turned back, it would be neither
    genuine nor converted Mainland text.
    """
    found: list[Rendering] = []
    for number, sample in enumerate(samples):
        script = published_script(sample)
        found.append(Rendering(sample=sample, script=script, published=True))
        if sample.label is Variant.ZH_CN:
            configuration = TO_TRADITIONAL[number % len(TO_TRADITIONAL)]
            other = replace(sample, text=convert(configuration, sample.text), converted_by=configuration)
            found.append(Rendering(sample=other, script=Script.HANT, published=False))
        elif script is Script.HANT:
            other = replace(sample, text=convert(TO_SIMPLIFIED, sample.text))
            found.append(Rendering(sample=other, script=Script.HANS, published=False))
    return found


def published_script(sample: Sample) -> Script:
    """The script of a source."""
    twin = sample.source.endswith("/twins")
    declaration = sample.source == "udhr" and sample.label is Variant.YUE
    return Script.HANS if twin or declaration or sample.label is Variant.ZH_CN else Script.HANT


def score(model: VariantModel, renderings: Iterable[Rendering]) -> list[Scored]:
    """Classify every text."""
    return [
        Scored(
            sample=item.sample,
            published=item.published,
            script=item.script,
            verdict=classify(item.sample.text, max_evidence=0, model=model),
        )
        for item in renderings
    ]


def label_figures(scored: Sequence[Scored], *, seed: int) -> list[LabelFigures]:
    """Precision, recall and F1 of the four varieties; intervals by a bootstrap of documents and rows."""
    truth = [item.sample.label for item in scored]
    said = [item.verdict.label for item in scored]
    return figures_of(truth, said, [item.sample.cluster for item in scored], seed=seed)


def figures_of(
    truth: Sequence[Variant], said: Sequence[Variant | None], clusters: Sequence[str], *, seed: int
) -> list[LabelFigures]:
    """The same from labels alone; None is a text of which a tool says nothing."""
    figures: list[LabelFigures] = []
    for label in TRAINED:
        true = np.array([item == label for item in truth], dtype=np.float64)
        found = np.array([item == label for item in said], dtype=np.float64)
        both = true * found
        figures.append(
            LabelFigures(
                label=label,
                n=int(true.sum()),
                precision=_ratio(both, found, clusters, seed),
                recall=_ratio(both, true, clusters, seed),
                f1=_ratio(2 * both, true + found, clusters, seed),
            )
        )
    return figures


def _ratio(
    above: npt.NDArray[np.float64], below: npt.NDArray[np.float64], clusters: Sequence[str], seed: int
) -> Estimate | None:
    counted = np.flatnonzero(below)
    if not len(counted):
        return None
    return ratio_estimate(
        above[counted],
        below[counted],
        unit=EstimateUnit.SHARE,
        clusters=[clusters[index] for index in counted.tolist()],
        method="bootstrap",
        draws=1000,
        seed=seed,
    )


def script_figure(scored: Sequence[Scored]) -> Estimate:
    """Share of right scripts among the texts that hold a deciding character."""
    decided = [item for item in scored if item.verdict.script is not Script.UNDETERMINED]
    return proportion_estimate(sum(item.verdict.script == item.script for item in decided), len(decided))


def converted_auroc(scored: Sequence[Scored], *, seed: int) -> Estimate | None:
    """Area under the receiver operating curve of `converted_probability`: converted against genuine Traditional text.

    Returns:
        The probability that a converted text gets the higher figure (Mann and Whitney 1947), with a bootstrap interval
        over documents and rows; None where one of the two kinds is missing.
    """
    items = [item for item in scored if item.script is Script.HANT]
    converted = np.array([item.sample.converted_by is not None for item in items])
    if not items or converted.all() or not converted.any():
        return None
    figures = np.array([item.verdict.converted_probability for item in items])
    # The bootstrap takes one number an item: the sign says which kind it is of.
    signed = np.where(converted, 1 + figures, -1 - figures)
    return bootstrap_estimate(
        signed,
        lambda samples: np.array([_auroc(row) for row in samples]),
        unit=EstimateUnit.RATIO,
        seed=seed,
        clusters=[item.sample.cluster for item in items],
        draws=500,
    )


def _auroc(signed: npt.NDArray[np.float64]) -> float:
    positives, negatives = signed[signed > 0], np.sort(-signed[signed < 0])
    if not len(positives) or not len(negatives):
        return 0.5
    below = np.searchsorted(negatives, positives, "left")
    not_above = np.searchsorted(negatives, positives, "right")
    return float((below + not_above).sum() / (2 * len(positives) * len(negatives)))
