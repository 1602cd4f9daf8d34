"""The trained model: what it holds, and the file that it is kept in."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tw_corpus._variant._ngrams import Vocabulary, build_vocabulary
from tw_corpus._variant._types import Variant
from twllm_types import ArtifactError

SCHEMA = "tw_corpus.variant_model"
SCHEMA_VERSION = 1
# The varieties that are trained, in the order of the columns.
TRAINED = (Variant.ZH_TW, Variant.ZH_HK, Variant.YUE, Variant.ZH_CN)
NUM_TRAINED = len(TRAINED)
# Columns of the wording weights: the four varieties, then the marker words of classical, Hokkien and Hakka.
NUM_WORDING_COLUMNS = NUM_TRAINED + 3
# Columns of the orthography weights: the four varieties, then residue of a conversion.
NUM_ORTHOGRAPHY_COLUMNS = NUM_TRAINED + 1
NUM_RESIDUE = 4

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VariantModel:
    """Weights of n-grams and the calibration of their sums.

    Shapes: V wording n-grams, U orthography n-grams, K lengths.

    Attributes:
        wording: n-grams of script-folded text.
        wording_weights: (V + 1, 7); row 0, of no n-gram, is 0.
        orthography: n-grams of text as written, around characters that Traditional text writes in several ways.
        orthography_weights: (U + 1, 5); row 0 is 0.
        lengths: (K,) numbers of ideographs between which the calibration is interpolated, rising.
        scales: (K,) factor on the sums at each length.
        biases: (K, 4) what is added for each variety at each length.
        residue: (4,) coefficients of the regression of conversion on residue.
        card: how it was trained: seed, rows, licences, versions; JSON values.
    """

    wording: Vocabulary
    wording_weights: Floats
    orthography: Vocabulary
    orthography_weights: Floats
    lengths: Doubles
    scales: Doubles
    biases: Doubles
    residue: Doubles
    card: Mapping[str, object] = field(default_factory=dict[str, object])


def save_variant_model(model: VariantModel) -> bytes:
    """The model as the bytes of its file: a zip of arrays and a JSON header with a hash; no pickle, no date."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "wording_ngrams": _encode(model.wording),
        "wording_weights": model.wording_weights.astype(np.float16),
        "orthography_ngrams": _encode(model.orthography),
        "orthography_weights": model.orthography_weights.astype(np.float16),
        "lengths": model.lengths,
        "scales": model.scales,
        "biases": model.biases,
        "residue": model.residue,
    }
    header = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "sha256": _hash(arrays),
        "card": dict(model.card),
    }
    arrays["header"] = np.frombuffer(json.dumps(header, ensure_ascii=False, sort_keys=True).encode("utf-8"), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def load_variant_model(path: Path | None = None) -> VariantModel:
    """Read a model file; without a path, the one that ships with the package (read once).

    Raises:
        ArtifactError: the file is no model, is of another schema version, or was changed.
        OSError: the file cannot be read.
    """
    if path is None:
        return _shipped_model()
    return _parse(path.read_bytes(), str(path))


@lru_cache(maxsize=1)
def _shipped_model() -> VariantModel:
    resource = files("tw_corpus").joinpath("models", "variant.npz")
    return _parse(resource.read_bytes(), "tw_corpus/models/variant.npz")


def _parse(content: bytes, name: str) -> VariantModel:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays: dict[str, npt.NDArray[Any]] = {key: archive[key] for key in archive.files}
        header: dict[str, Any] = json.loads(arrays.pop("header").tobytes())
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise ArtifactError(f"{name}: not a variant model; train one with `tw-corpus train-variant-model`") from error
    if header.get("schema") != SCHEMA or header.get("schema_version") != SCHEMA_VERSION:
        raise ArtifactError(
            f"{name}: schema {header.get('schema')} version {header.get('schema_version')}, but this tw-corpus reads "
            f"{SCHEMA} version {SCHEMA_VERSION}; train it again with `tw-corpus train-variant-model`"
        )
    if header.get("sha256") != _hash(arrays):
        raise ArtifactError(
            f"{name}: the weights do not agree with their SHA-256; take the file from its source again or train it "
            "with `tw-corpus train-variant-model`"
        )
    return VariantModel(
        wording=build_vocabulary(_decode(arrays["wording_ngrams"])),
        wording_weights=arrays["wording_weights"].astype(np.float32),
        orthography=build_vocabulary(_decode(arrays["orthography_ngrams"])),
        orthography_weights=arrays["orthography_weights"].astype(np.float32),
        lengths=arrays["lengths"],
        scales=arrays["scales"],
        biases=arrays["biases"],
        residue=arrays["residue"],
        card=header["card"],
    )


def _encode(vocabulary: Vocabulary) -> npt.NDArray[np.uint8]:
    return np.frombuffer("\n".join(vocabulary.ngrams).encode("utf-8"), dtype=np.uint8)


def _decode(array: npt.NDArray[Any]) -> list[str]:
    return array.tobytes().decode("utf-8").split("\n") if array.size else []


def _hash(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(f"{key} {arrays[key].dtype.str} {arrays[key].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[key]).tobytes())
    return digest.hexdigest()
