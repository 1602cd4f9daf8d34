"""The numbers under the variant model: fitting, calibration, n-gram look-up, the model file."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize as scipy_minimize

from tw_corpus._characters import codes_of
from tw_corpus._variant import Variant, classify_variant, load_variant_model
from tw_corpus._variant._model import VariantModel, save_variant_model
from tw_corpus._variant._ngrams import build_vocabulary, find, fold, fold_table, hash_ngrams, is_orthographic
from tw_corpus._variant_training_fit import (
    Problem,
    SparseRows,
    calibrate,
    cross_entropy,
    fit,
    interpolation_basis,
    minimize,
    products,
    sparse_rows,
    transposed_products,
)
from twllm_types import ArtifactError


def random_problem(num_classes: int) -> Problem:
    rng = np.random.default_rng(3)
    row_of, columns = rng.integers(0, 40, 300), rng.integers(0, 15, 300)
    targets = rng.dirichlet(np.ones(num_classes), 40) if num_classes > 1 else rng.random((40, 1))
    return Problem(
        matrix=sparse_rows(row_of, columns, rng.random(40) + 0.5, 15),
        targets=targets,
        weights=rng.random(40) + 0.5,
        prior=rng.normal(size=(15, num_classes)),
        strengths=rng.random(15) + 0.5,
    )


def dense(matrix: SparseRows) -> np.ndarray:
    found = np.zeros((matrix.num_rows, matrix.num_columns))
    for row in range(matrix.num_rows):
        inside = slice(matrix.starts[row], matrix.starts[row + 1])
        found[row, matrix.columns[inside]] = matrix.values[inside]
    return found


def test_products_equal_those_of_the_dense_matrix_also_for_empty_rows() -> None:
    matrix = sparse_rows(np.array([0, 0, 2]), np.array([1, 1, 0]), np.array([1.0, 1.0, 0.5]), 3)
    weights, errors = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(dense(matrix), [[0, 2, 0], [0, 0, 0], [0.5, 0, 0]])
    np.testing.assert_allclose(products(matrix, weights), dense(matrix) @ weights)
    np.testing.assert_allclose(transposed_products(matrix, errors), dense(matrix).T @ errors)
    empty = sparse_rows(np.zeros(0, int), np.zeros(0, int), np.ones(2), 3)
    np.testing.assert_array_equal(products(empty, weights), np.zeros((2, 2)))


@pytest.mark.parametrize("num_classes", [1, 4])
def test_fit_reaches_the_minimum_that_scipy_finds(num_classes: int) -> None:
    problem = random_problem(num_classes)
    features, shape = dense(problem.matrix), problem.prior.shape

    def loss(flat: np.ndarray) -> float:
        weights, biases = flat[: -shape[1]].reshape(shape), flat[-shape[1] :]
        value, _ = cross_entropy(features @ weights + biases, problem.targets, problem.weights)
        return value + 0.5 * float(np.sum(problem.strengths[:, None] * (weights - problem.prior) ** 2))

    weights, biases = fit(problem, num_steps=300)
    start = np.zeros(problem.prior.size + shape[1])
    reference = scipy_minimize(loss, start, method="L-BFGS-B", options={"maxiter": 5000, "maxfun": 10**6})
    assert loss(np.concatenate([weights.ravel(), biases])) == pytest.approx(reference.fun, rel=1e-4)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_cross_entropy_gradient_agrees_with_differences(num_classes: int) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5, num_classes))
    targets = rng.dirichlet(np.ones(3), 5)[:, :num_classes] if num_classes > 1 else rng.random((5, 1))
    weights = rng.random(5)
    _, gradient = cross_entropy(logits, targets, weights)
    for row, column in ((0, 0), (3, num_classes - 1)):
        moved = logits.copy()
        moved[row, column] += 1e-6
        difference = cross_entropy(moved, targets, weights)[0] - cross_entropy(logits, targets, weights)[0]
        assert difference / 1e-6 == pytest.approx(gradient[row, column], abs=1e-4)


def test_minimize_stops_at_a_minimum_and_where_no_step_helps() -> None:
    def parabola(at: np.ndarray) -> tuple[float, np.ndarray]:
        return float(at @ at), 2 * at

    np.testing.assert_allclose(minimize(parabola, np.array([3.0, -4.0]), num_steps=50), [0, 0], atol=1e-3)
    np.testing.assert_array_equal(minimize(parabola, np.zeros(2), num_steps=50), [0, 0])

    def misleading(at: np.ndarray) -> tuple[float, np.ndarray]:
        # a gradient that points uphill: no step length helps
        return float(at @ at), -2 * at

    np.testing.assert_array_equal(minimize(misleading, np.array([1.0]), num_steps=5), [1.0])


def test_calibrate_learns_to_trust_long_texts_more_than_short_ones() -> None:
    rng = np.random.default_rng(5)
    lengths = np.repeat([10, 1000], 3000)
    truth = rng.integers(0, 2, 6000)
    signal = np.where(lengths == 10, 0.5, 4.0) * np.where(truth == 0, 1, -1)
    noisy = np.stack([np.where(lengths == 10, 1.0, 1.0) * np.sign(signal), np.zeros(6000)], axis=1)
    flipped = (lengths == 10) & (rng.random(6000) < 0.35)
    noisy[flipped, 0] *= -1
    scales, biases = calibrate(noisy, lengths, np.eye(2)[truth], np.ones(6000), np.array([10.0, 1000.0]))
    assert scales[0] < scales[1]
    assert scales[0] == pytest.approx(np.log(0.65 / 0.35), abs=0.25)
    assert np.abs(biases).max() < 0.3


@given(st.integers(1, 10**6))
def test_interpolation_weights_are_a_share_each(num_han: int) -> None:
    basis = interpolation_basis(np.array([num_han]), np.array([3.0, 50.0, 1000.0]))
    assert basis.sum() == pytest.approx(1.0)
    assert basis.min() >= 0


def test_vocabulary_finds_its_ngrams_and_hardly_anything_else() -> None:
    ngrams = ["的", "捷运", "网路", "工智慧"]
    vocabulary = build_vocabulary(ngrams)
    text = "捷运的网路与人工智慧"
    found: list[str] = []
    for order, hashes in enumerate(hash_ngrams(codes_of(text)), 1):
        positions, ids = find(vocabulary, hashes)
        for position, number in zip(positions.tolist(), ids.tolist(), strict=True):
            assert text[position : position + order] == vocabulary.ngrams[number - 1]
            found.append(vocabulary.ngrams[number - 1])
    assert sorted(found) == sorted(ngrams)
    everything = np.arange(1 << 20, dtype=np.uint32) * np.uint32(4093)
    assert len(find(vocabulary, everything)[0]) <= 4


def test_vocabulary_refuses_ngrams_it_cannot_hold() -> None:
    for ngrams in ([""], ["一二三四"], ["甲"] * (1 << 16)):
        with pytest.raises(ValueError, match="takes up to"):
            build_vocabulary(ngrams)


def test_vocabulary_leaves_out_the_later_of_two_that_share_a_slot() -> None:
    assert build_vocabulary(["甲", "乙", "甲"]).ngrams == ("甲", "乙")


@given(st.text(max_size=30))
def test_fold_keeps_length_and_is_idempotent(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_fold_maps_regional_and_traditional_forms_to_one() -> None:
    assert fold("裏裡里後后為爲着著衞衛") == "里里里后后为为着着卫卫"
    table = fold_table()
    assert chr(table[ord("軟")]) == "软"
    assert table[ord("A")] == table[ord("，")] == 0
    assert table[ord("ㄆ")] == table[ord("ㄅ")] != 0


def test_orthographic_characters_are_those_with_several_traditional_forms() -> None:
    table = is_orthographic()
    assert all(table[ord(character)] for character in "後后裡裏里為爲臺台")
    assert not any(table[ord(character)] for character in "国國水A")


def tiny_model() -> VariantModel:
    return VariantModel(
        wording=build_vocabulary(["捷运", "巴士"]),
        wording_weights=np.array([[0] * 7, [3, -1, -1, -1, 0, 0, 0], [-1, 3, -1, -1, 0, 0, 0]], dtype=np.float32),
        orthography=build_vocabulary(["爲"]),
        orthography_weights=np.array([[0] * 5, [0, 0, 0, 0, 4]], dtype=np.float32),
        lengths=np.array([5.0, 100.0]),
        scales=np.array([1.0, 2.0]),
        biases=np.zeros((2, 4)),
        residue=np.array([-4.0, 0.0, 1.0, 0.0]),
        card={"seed": 0},
    )


def test_model_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(save_variant_model(tiny_model()))
    model = load_variant_model(path)
    assert model.wording.ngrams == ("捷运", "巴士")
    assert model.card == {"seed": 0}
    np.testing.assert_array_equal(model.wording_weights, tiny_model().wording_weights)
    assert classify_variant("坐捷運", model=model) == classify_variant("坐捷運", model=tiny_model())
    assert save_variant_model(model) == path.read_bytes()


def test_model_without_ngrams_can_be_saved_and_used(tmp_path: Path) -> None:
    bare = tiny_model()
    empty = VariantModel(
        wording=build_vocabulary([]),
        wording_weights=np.zeros((1, 7), dtype=np.float32),
        orthography=build_vocabulary([]),
        orthography_weights=np.zeros((1, 5), dtype=np.float32),
        lengths=bare.lengths,
        scales=bare.scales,
        biases=bare.biases,
        residue=bare.residue,
    )
    path = tmp_path / "model.npz"
    path.write_bytes(save_variant_model(empty))
    verdict = classify_variant("坐捷運", model=load_variant_model(path))
    assert verdict.probabilities[Variant.ZH_TW] == pytest.approx(0.25, abs=0.01)
    assert not verdict.decided


def test_calibration_is_interpolated_between_its_lengths_and_constant_outside() -> None:
    model = tiny_model()

    def margin(num_more: int) -> float:
        probabilities = classify_variant("捷運" + "山" * num_more, max_evidence=0, model=model).probabilities
        num_han = 2 + num_more
        return float(np.log(probabilities[Variant.ZH_TW] / probabilities[Variant.YUE])) * np.sqrt(num_han / 10) / 4

    assert margin(0) == pytest.approx(1.0)
    assert margin(98) == pytest.approx(2.0, rel=1e-3)
    assert margin(998) == pytest.approx(2.0, rel=1e-3)
    assert margin(20) == pytest.approx(1 + np.log(22 / 5) / np.log(20), rel=1e-3)


def test_model_file_of_another_version_names_the_fix(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    content = save_variant_model(tiny_model())
    path.write_bytes(content)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(arrays["header"].tobytes())
    header["schema_version"] = 99
    arrays["header"] = np.frombuffer(json.dumps(header).encode("utf-8"), dtype=np.uint8)
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(ArtifactError, match=r"version 99.*train it again with `tw-corpus train-variant-model`"):
        load_variant_model(path)


def test_model_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(save_variant_model(tiny_model()))
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["scales"] = arrays["scales"] + 1
    np.savez(path, allow_pickle=False, **arrays)
    with pytest.raises(ArtifactError, match="do not agree with their SHA-256"):
        load_variant_model(path)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken"])
def test_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match="not a variant model"):
        load_variant_model(path)


def test_array_file_without_a_header_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", allow_pickle=False, some=np.zeros(3))
    with pytest.raises(ArtifactError, match="not a variant model"):
        load_variant_model(tmp_path / "model.npz")


def test_model_file_that_is_missing_raises_what_the_system_says(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_variant_model(tmp_path / "none.npz")
