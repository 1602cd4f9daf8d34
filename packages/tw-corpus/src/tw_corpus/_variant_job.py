"""The commands on varieties: classify a file; train the model and score it, each into a run folder."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from tw_corpus._normalize import normalize
from tw_corpus._records import Fault, FaultReason, Record
from tw_corpus._script import Script
from tw_corpus._variant import Variant, VariantVerdict, classify_variant, load_variant_model
from tw_corpus.readers import read_file
from twllm_runs import RunState, describe_inputs, hash_file, open_atomic, open_run
from twllm_types import ConfigError, DataError, JsonObject

MODEL_NAME = "variant.npz"
_PACKAGES = ("tw-corpus", "numpy")
# Digits of the probabilities and weights that are written.
_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRun:
    """A finished run.

    Attributes:
        folder: where it stands.
        state: what was found on opening; a finished run is not done again.
        summary: what stands in `summary.json`.
        empty_files: files of the data folder without any line.
    """

    folder: Path
    state: RunState
    summary: JsonObject
    empty_files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationCounts:
    """What `classify_file` did.

    Attributes:
        num_documents: lines written.
        labels: documents of each label that occurs.
        scripts: documents of each script that occurs.
        num_converted: documents flagged as converted from Simplified.
        num_undecided: documents whose label has less than half of the probability.
        faults: what could not be read, by reason.
    """

    num_documents: int
    labels: Mapping[Variant, int]
    scripts: Mapping[Script, int]
    num_converted: int
    num_undecided: int
    faults: Mapping[FaultReason, int]

    @property
    def num_faults(self) -> int:
        """What could not be read."""
        return sum(self.faults.values())


def classify_file(
    path: Path,
    output: Path,
    *,
    max_evidence: int = 10,
    model: Path | None = None,
    on_document: Callable[[int], None] = lambda _: None,
) -> ClassificationCounts:
    """Write a verdict on each document of a file, in its order, as one JSON object a line.

    Documents are normalised first; the offsets of the evidence are those of the normalised text. A line holds the id
    of the document and the fields of `VariantVerdict`, not its text.

    Args:
        path: JSONL, Parquet, text, HTML or WARC.
        output: the file to write; replaced where it exists, whole or not at all.
        max_evidence: most spans for each document.
        model: another model than the one that ships.
        on_document: called with 1 after each document.

    Raises:
        ArtifactError: the model cannot be used.
        ConfigError: `output` is the input, or `max_evidence` is below 0.
        DataError: there is no such input.
        RunError: the output cannot be written.
    """
    from tw_corpus._variant._classify import check_max_evidence

    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    if output.resolve() == path.resolve():
        raise ConfigError(f"--output {output}: is the input; give another file")
    check_max_evidence(max_evidence)
    loaded = load_variant_model(model)
    labels: Counter[Variant] = Counter()
    scripts: Counter[Script] = Counter()
    faults: Counter[FaultReason] = Counter()
    num_converted = num_undecided = 0
    with open_atomic(output, "wb") as file:
        for outcome in read_file(path):
            if isinstance(outcome, Fault):
                faults[outcome.reason] += 1
            if not isinstance(outcome, Record):
                continue
            verdict = classify_variant(normalize(outcome.text).text, max_evidence=max_evidence, model=loaded)
            file.write(orjson.dumps({"id": outcome.id, **verdict_to_json(verdict)}) + b"\n")
            labels[verdict.label] += 1
            scripts[verdict.script] += 1
            num_converted += verdict.converted_from_simplified
            num_undecided += not verdict.decided
            on_document(1)
    return ClassificationCounts(
        num_documents=labels.total(),
        labels=dict(sorted(labels.items())),
        scripts=dict(sorted(scripts.items())),
        num_converted=num_converted,
        num_undecided=num_undecided,
        faults=dict(sorted(faults.items())),
    )


def verdict_to_json(verdict: VariantVerdict) -> JsonObject:
    """A verdict as JSON values; probabilities and weights with four digits."""
    return {
        "label": verdict.label.value,
        "decided": verdict.decided,
        "script": verdict.script.value,
        "probabilities": {label.value: round(p, _DIGITS) for label, p in verdict.probabilities.items()},
        "converted_from_simplified": verdict.converted_from_simplified,
        "converted_probability": round(verdict.converted_probability, _DIGITS),
        "other_reason": None if verdict.other_reason is None else verdict.other_reason.value,
        "evidence": [
            {
                "start": span.start,
                "end": span.end,
                "text": span.text,
                "label": span.label.value,
                "weight": round(span.weight, _DIGITS),
                "kind": span.kind.value,
            }
            for span in verdict.evidence
        ],
    }


def run_training(data_folder: Path, output: Path, *, seed: int = 0) -> VariantRun:
    """Train the variant model and write `variant.npz` in `output`; the summary is its card.

    Raises:
        ArtifactError: `output` holds another run.
        DataError: a file of the folder is missing or not as its README says.
        MissingDependencyError: the package `opencc` is not installed.
    """
    from tw_corpus._variant_training import train_variant_model
    from tw_corpus._variant_training_rows import FILES, empty_files

    with open_run(
        output,
        command="tw-corpus train-variant-model",
        parameters={},
        seed=seed,
        inputs=describe_inputs([(name, data_folder / name) for name in FILES]),
        packages=(*_PACKAGES, "opencc"),
    ) as run:
        if run.state is not RunState.FINISHED:
            trained = train_variant_model(data_folder, run.folder / MODEL_NAME, seed=seed)
            run.finish({"num_bytes": trained.num_bytes, "card": trained.card})
        empty = tuple(empty_files(data_folder))
        return VariantRun(folder=run.folder, state=run.state, summary=run.result, empty_files=empty)


def _model_hash(model: Path | None) -> str:
    return "shipped" if model is None else hash_file(model)


def run_evaluation(data_folder: Path, output: Path, *, model: Path | None = None, seed: int = 0) -> VariantRun:
    """Score a model on the test part of the folder; the summary holds the figures.

    Raises:
        ArtifactError: `output` holds another run, or the model cannot be used.
        DataError: a file of the folder is missing or not as its README says.
        MissingDependencyError: the package `opencc` is not installed.
    """
    from tw_corpus._variant_evaluation import evaluate_variants
    from tw_corpus._variant_training_rows import FILES, empty_files

    with open_run(
        output,
        command="tw-corpus evaluate-variants",
        parameters={"model": _model_hash(model)},
        seed=seed,
        inputs=describe_inputs([(name, data_folder / name) for name in FILES]),
        packages=(*_PACKAGES, "opencc"),
    ) as run:
        if run.state is not RunState.FINISHED:
            run.finish(evaluate_variants(data_folder, model_path=model, seed=seed))
        empty = tuple(empty_files(data_folder))
        return VariantRun(folder=run.folder, state=run.state, summary=run.result, empty_files=empty)
