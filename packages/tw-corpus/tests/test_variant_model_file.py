"""Model files that are not what they say: one clear error each, with the hash in order."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tw_corpus
from tw_corpus import classify_variant
from tw_corpus._variant import load_variant_model
from twllm_types import ArtifactError

SHIPPED = Path(tw_corpus.__file__).parent / "models" / "variant.npz"
Arrays = dict[str, Any]


def hash_of(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(f"{key} {arrays[key].dtype.str} {arrays[key].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[key]).tobytes())
    return digest.hexdigest()


def write(path: Path, change: Callable[[Arrays], object]) -> Path:
    """Write the shipped model with a change to its parts, of which the header is a JSON value, and their new hash."""
    with np.load(SHIPPED) as archive:
        parts: Arrays = {key: archive[key] for key in archive.files}
    parts["header"] = json.loads(parts["header"].tobytes())
    change(parts)
    header = parts.pop("header")
    if isinstance(header, dict):
        header["sha256"] = hash_of(parts)
    np.savez(path, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **parts)
    return path


def without(name: str) -> Callable[[Arrays], object]:
    return lambda parts: parts.pop(name)


def replaced(name: str, change: Callable[[Any], Any]) -> Callable[[Arrays], object]:
    return lambda parts: parts.update({name: change(parts[name])})


def without_card(header: Any) -> Any:
    return {key: value for key, value in header.items() if key != "card"}


def with_nan(array: Any) -> Any:
    changed = array.copy()
    changed.flat[-1] = np.nan
    return changed


def test_model_file_unchanged_is_read(tmp_path: Path) -> None:
    model = load_variant_model(write(tmp_path / "same.npz", len))
    assert classify_variant("我們搭捷運去立法院。", model=model) == classify_variant("我們搭捷運去立法院。")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("residue"), "without residue"),
        (without("wording_ngrams"), "without wording_ngrams"),
        (replaced("header", without_card), "without a card"),
        (replaced("header", lambda header: header | {"card": "none"}), "without a card"),
        (replaced("header", lambda header: [header]), "not a variant model"),
        (replaced("wording_ngrams", lambda _: np.full(9, 0xFF, np.uint8)), "codec can't decode"),
        (replaced("wording_ngrams", lambda array: array[:-4].astype(np.uint32)), "wording_ngrams is of type uint32"),
        (replaced("wording_ngrams", lambda _: np.frombuffer(b"abcd", np.uint8)), "n-grams of 1 to 3 characters"),
        (replaced("wording_weights", lambda array: array[:-1]), "wording_weights has shape"),
        (replaced("orthography_weights", lambda array: array[:, :-1]), "orthography_weights has shape"),
        (replaced("orthography_weights", with_nan), "orthography_weights holds a number that is not finite"),
        (replaced("scales", lambda array: array[:-1]), "scales has shape"),
        (replaced("scales", with_nan), "scales holds a number that is not finite"),
        (replaced("scales", lambda array: array.astype("U9")), "scales is of type <U9"),
        (replaced("biases", lambda array: array.T), "biases has shape"),
        (replaced("biases", lambda array: array.astype(object).astype("S3")), "biases is of type"),
        (replaced("residue", lambda array: array * np.inf), "residue holds a number that is not finite"),
        (replaced("lengths", lambda array: array[:0]), "lengths has shape"),
        (replaced("lengths", lambda array: array[::-1]), "lengths do not rise"),
        (replaced("lengths", lambda array: array - array[0]), "lengths do not rise"),
    ],
)
def test_model_file_with_a_wrong_part_is_one_clear_error(
    tmp_path: Path, change: Callable[[Arrays], object], message: str
) -> None:
    with pytest.raises(ArtifactError, match=message) as caught:
        load_variant_model(write(tmp_path / "model.npz", change))
    assert "train" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_model_file_with_a_member_that_is_no_array_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(SHIPPED.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(ArtifactError, match="not a variant model"):
        load_variant_model(path)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_model_file_with_damaged_bytes_is_one_clear_error(tmp_path: Path, place: float) -> None:
    content = bytearray(SHIPPED.read_bytes())
    at = int(len(content) * place)
    content[at : at + 64] = bytes(64)
    path = tmp_path / "model.npz"
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="train"):
        load_variant_model(path)


def test_model_file_nested_too_deeply_is_one_clear_error(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, header=np.frombuffer(b"[" * 200_000, np.uint8))
    path = tmp_path / "model.npz"
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ArtifactError, match="not a variant model"):
        load_variant_model(path)
