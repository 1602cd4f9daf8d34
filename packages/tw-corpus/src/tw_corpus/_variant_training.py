"""Training of the variant model, from the rows of `zh_variants` to the file that ships.

Everything random comes from one seed; the same rows, seed, numpy and machine give the same bytes.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tw_corpus._variant._classify import wording_logits
from tw_corpus._variant._model import TRAINED, VariantModel, save_variant_model
from tw_corpus._variant._types import Variant
from tw_corpus._variant_training_features import untrained_model
from tw_corpus._variant_training_labels import Settled, settle_encyclopaedia, settle_hong_kong, unmarked_cantonese
from tw_corpus._variant_training_rows import Part, Row, read_rows, split_rows
from tw_corpus._variant_training_samples import (
    Convert,
    Sample,
    Stream,
    in_some_script,
    load_converter,
    runs,
    shuffled,
    single_sentences,
    speaker_names,
    streams,
    wording_label,
)
from tw_corpus._variant_training_weights import (
    FitSettings,
    fit_calibration,
    fit_residue,
    fit_residue_regression,
    fit_weights,
    text_sums,
)
from twllm_runs import open_atomic
from twllm_types import DataError, JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What the model is trained on, and how.

    Attributes:
        seed: of the order of sentences and the choice of scripts.
        run_lengths: ideographs in the runs of sentences that are learned besides single sentences.
        max_runs: most runs of each length from one source and label.
        max_sentences: most sentences from one source and label.
        min_count: occurrences of an n-gram of order 1, 2, 3 in the sentences below which it is left out.
        fit: of the weights.
    """

    seed: int = 0
    run_lengths: tuple[int, ...] = (15, 30, 60, 120, 250, 500, 1000)
    max_runs: int = 100
    max_sentences: int = 6000
    min_count: tuple[int, int, int] = (2, 4, 6)
    fit: FitSettings = field(default_factory=FitSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantTraining:
    """A finished training.

    Attributes:
        model: path of the file.
        num_bytes: its size.
        card: what stands in the file about it: seed, settings, versions, rows by source and licence.
    """

    model: Path
    num_bytes: int
    card: JsonObject


# Of a longer encyclopaedic text it is a stretch that no word in it is of a region.
_SHORT_RUN_HAN = 60


def train_variant_model(data_folder: Path, output: Path, *, seed: int = 0) -> VariantTraining:
    """Train the variant model on the training part of the folder `zh_variants` and write it.

    Args:
        data_folder: the folder `zh_variants` of the shared data.
        output: the file to write, replaced whole.
        seed: of all that is random.

    Raises:
        DataError: a file of the folder is missing or not as its README says, or holds no row of a variety.
        MissingDependencyError: the package `opencc` is not installed.
        RunError: the file cannot be written.
    """
    convert = load_converter()
    settings = TrainingSettings(seed=seed)
    rows = read_rows(data_folder)
    parts = split_rows(rows)
    train = [row for row, part in zip(rows, parts, strict=True) if part is Part.TRAIN]
    calibration = [row for row, part in zip(rows, parts, strict=True) if part is Part.CALIBRATION]
    model = fit_model(train, calibration, convert, settings)
    model = replace(model, card=_card(train, calibration, settings))
    content = save_variant_model(model)
    with open_atomic(output, "wb") as file:
        file.write(content)
    return VariantTraining(model=output, num_bytes=len(content), card=_card(train, calibration, settings))


def _card(train: Sequence[Row], calibration: Sequence[Row], settings: TrainingSettings) -> JsonObject:
    counts = Counter((row.source, row.label.value, row.licence) for row in train if row.converted_by is None)
    held_out = Counter((row.source, row.label.value, row.licence) for row in calibration if row.converted_by is None)
    card: JsonObject = {
        "settings": json.loads(json.dumps(asdict(settings))),
        "versions": {name: version(name) for name in ("tw-corpus", "numpy", "opencc")},
        "rows": [
            {
                "source": source,
                "label": label,
                "licence": licence,
                "train": counts[source, label, licence],
                "calibration": held_out[source, label, licence],
            }
            for source, label, licence in sorted(set(counts) | set(held_out))
        ],
    }
    return card


def fit_model(
    train: Sequence[Row], calibration: Sequence[Row], convert: Convert, settings: TrainingSettings
) -> VariantModel:
    """Train on one part of the rows and calibrate on another.

    Raises:
        DataError: no training row of one of the four varieties.
    """
    present = {wording_label(row) for row in train}
    missing = [variant.value for variant in TRAINED if variant not in present]
    if missing:
        raise DataError(f"no training row of {', '.join(missing)}; give the whole folder zh_variants")
    rng = np.random.default_rng(settings.seed)
    settled = _settle([*train, *calibration], train, convert, settings)
    samples = training_samples(train, settled, convert, rng, settings)
    texts = [sample.text for sample in samples if sample.num_sentences == 1]
    model = untrained_model(texts, settings.min_count, exclude=speaker_names(train))
    model = fit_weights(model, samples, settings.fit)
    model = fit_residue(model, samples, convert, rng, settings.fit)
    held_out = _calibration_samples(calibration, settled, convert, rng, settings)
    model = fit_calibration(model, held_out, settings.fit)
    return fit_residue_regression(model, held_out, convert, rng, settings.fit)


def _calibration_samples(
    rows: Sequence[Row], settled: Settled, convert: Convert, rng: np.random.Generator, settings: TrainingSettings
) -> list[Sample]:
    """Texts as in training, and long ones in which encyclopaedic lines of all kinds stand together."""
    long = tuple(length for length in settings.run_lengths if length > _SHORT_RUN_HAN)
    mixed = replace(settled, neutral=frozenset[str]())
    return [
        *training_samples(rows, settled, convert, rng, settings),
        *training_samples(rows, mixed, convert, rng, replace(settings, run_lengths=long, max_sentences=0)),
    ]


def _settle(rows: Sequence[Row], train: Sequence[Row], convert: Convert, settings: TrainingSettings) -> Settled:
    """Labels of lines that nobody labelled, by rules and by a first model of the training rows."""
    settled = settle_encyclopaedia(rows, convert)
    if not any(row.yue_marker is False for row in train):
        return settled
    rng = np.random.default_rng(settings.seed)
    doubtful: Mapping[str, Variant | None] = dict.fromkeys(unmarked_cantonese(train))
    first = replace(
        settings, run_lengths=(), max_sentences=settings.max_sentences // 2, fit=replace(settings.fit, num_steps=25)
    )
    without = replace(settled, labels={**settled.labels, **doubtful})
    samples = training_samples(train, without, convert, rng, first)
    texts = [sample.text for sample in samples]
    model = fit_weights(untrained_model(texts, first.min_count, exclude=frozenset()), samples, first.fit)

    def margin(text: str) -> float:
        sums, num_han, traditional = text_sums(model, text)
        logits = wording_logits(model, sums, num_han, traditional=traditional)
        return float(logits[TRAINED.index(Variant.YUE)] - logits[TRAINED.index(Variant.ZH_HK)])

    return replace(settled, labels={**settled.labels, **settle_hong_kong(rows, margin)})


def training_samples(
    rows: Sequence[Row],
    settled: Settled,
    convert: Convert,
    rng: np.random.Generator,
    settings: TrainingSettings,
) -> list[Sample]:
    """Sentences and runs of sentences of every source, each in one script chosen at random."""
    usable = [row for row in rows if row.converted_by is None and not row.shared]
    samples: list[Sample] = []
    for neutral in (False, True):
        members = [row for row in usable if (row.id in settled.neutral) is neutral]
        found = streams(members, label_of=lambda row: settled.labels.get(row.id, wording_label(row)))
        samples += [replace(sample, neutral=neutral) for sample in _of_all_lengths(found, rng, settings)]
    return [in_some_script(sample, convert, rng) for sample in samples]


def _of_all_lengths(found: Sequence[Stream], rng: np.random.Generator, settings: TrainingSettings) -> list[Sample]:
    by_source: dict[tuple[str, Variant], list[Stream]] = {}
    for stream in found:
        by_source.setdefault((stream.source, stream.label), []).append(stream)
    samples: list[Sample] = []
    for members in by_source.values():
        drawn = [sample for stream in members for sample in single_sentences(stream)]
        samples += _choose(drawn, settings.max_sentences, rng)
        for length in settings.run_lengths:
            drawn = [run for stream in members for run in runs(shuffled(stream, rng), length)]
            samples += _choose(drawn, settings.max_runs, rng)
    return samples


def _choose(samples: Sequence[Sample], limit: int, rng: np.random.Generator) -> list[Sample]:
    if len(samples) <= limit:
        return list(samples)
    return [samples[index] for index in sorted(rng.choice(len(samples), limit, replace=False).tolist())]
