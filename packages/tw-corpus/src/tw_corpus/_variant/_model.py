"""The trained model: what it holds, and the file that it is kept in."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

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
        ArtifactError: the file is no model, is of another schema version, was changed, or lacks what a model needs.
        OSError: the file cannot be read.
    """
    if path is None:
        return _shipped_model()
    return _parse(path.read_bytes(), str(path))


@lru_cache(maxsize=1)
def _shipped_model() -> VariantModel:
    resource = files("tw_corpus").joinpath("models", "variant.npz")
    return _parse(resource.read_bytes(), "tw_corpus/models/variant.npz")


# What reading bytes that are no archive of arrays can end with: a member that does not decode, is no array, is stored
# in another way (NotImplementedError) or with a password (RuntimeError), or claims more memory than there is.
_NO_ARCHIVE = (
    *(ValueError, KeyError, AttributeError, TypeError, OSError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


def _parse(content: bytes, name: str) -> VariantModel:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            # a member that is no array comes as bytes
            arrays: dict[str, npt.NDArray[Any]] = {key: archive[key][...] for key in archive.files}
        header = _object(json.loads(arrays.pop("header").tobytes()))
    except _NO_ARCHIVE as error:
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
    try:
        return _model_of(arrays, header)
    except ValueError as error:
        raise ArtifactError(
            f"{name}: not a usable variant model ({error}); take the file from its source again or train it with "
            "`tw-corpus train-variant-model`"
        ) from error


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return cast("dict[str, Any]", value)


def _model_of(arrays: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> VariantModel:
    """Put the parts together.

    Raises:
        ValueError: one is missing, of another type or shape, or not finite.
    """
    if missing := sorted(_ARRAYS - arrays.keys()):
        raise ValueError(f"without {', '.join(missing)}")
    try:
        card = _object(header.get("card"))
    except TypeError as error:
        raise ValueError("without a card") from error
    wording = build_vocabulary(_decode(arrays["wording_ngrams"], "wording_ngrams"))
    orthography = build_vocabulary(_decode(arrays["orthography_ngrams"], "orthography_ngrams"))
    lengths = arrays["lengths"]
    num_lengths = max(lengths.size, 1)
    _check_numbers(arrays, "lengths", (num_lengths,))
    if lengths[0] <= 0 or not (np.diff(lengths) > 0).all():
        raise ValueError("lengths do not rise from above 0")
    _check_numbers(arrays, "wording_weights", (len(wording.ngrams) + 1, NUM_WORDING_COLUMNS))
    _check_numbers(arrays, "orthography_weights", (len(orthography.ngrams) + 1, NUM_ORTHOGRAPHY_COLUMNS))
    _check_numbers(arrays, "scales", (num_lengths,))
    _check_numbers(arrays, "biases", (num_lengths, NUM_TRAINED))
    _check_numbers(arrays, "residue", (NUM_RESIDUE,))
    return VariantModel(
        wording=wording,
        wording_weights=arrays["wording_weights"].astype(np.float32),
        orthography=orthography,
        orthography_weights=arrays["orthography_weights"].astype(np.float32),
        lengths=lengths,
        scales=arrays["scales"],
        biases=arrays["biases"],
        residue=arrays["residue"],
        card=card,
    )


_NUMBERS = ("wording_weights", "orthography_weights", "lengths", "scales", "biases", "residue")
_ARRAYS = frozenset((*_NUMBERS, "wording_ngrams", "orthography_ngrams"))


def _check_numbers(arrays: Mapping[str, npt.NDArray[Any]], name: str, shape: tuple[int, ...]) -> None:
    array = arrays[name]
    if array.dtype.kind != "f":
        raise ValueError(f"{name} is of type {array.dtype}, not of floats")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds a number that is not finite")


def _encode(vocabulary: Vocabulary) -> npt.NDArray[np.uint8]:
    return np.frombuffer("\n".join(vocabulary.ngrams).encode("utf-8"), dtype=np.uint8)


def _decode(array: npt.NDArray[Any], name: str) -> list[str]:
    if array.dtype != np.uint8:
        raise ValueError(f"{name} is of type {array.dtype}, not of bytes")
    return array.tobytes().decode("utf-8").split("\n") if array.size else []


def _hash(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(f"{key} {arrays[key].dtype.str} {arrays[key].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[key]).tobytes())
    return digest.hexdigest()
