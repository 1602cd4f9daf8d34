"""Nearest intents: by cosine to the mean direction of an intent's seeds, dense and sparse alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from icda import nearest_intents
from twllm_types import DataError

SEEDS = np.array([[1.0, 0.0, 0.0], [10.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]])
LABELS = ["a", "a", "b", "b"]


def test_nearest_intents_hand_case_ignores_length_and_classes_without_seeds():
    rows = np.array([[5.0, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.0], [-1.0, -1.0, 0.0]])
    assert nearest_intents(rows, SEEDS, LABELS, ["c", "a", "b"]).tolist() == [1, 2, 1, 2]
    assert nearest_intents(rows[:0], SEEDS, LABELS, ["a", "b"]).tolist() == []


def test_nearest_intents_seeds_that_cancel_each_other_are_never_nearest():
    seeds = np.array([[0.3, 0.1], [-0.9, -0.3], [1.0, 0.0]], dtype=np.float32)
    rows = np.array([[1.0, 2.0], [-1.0, 0.5]], dtype=np.float32)
    assert nearest_intents(rows, seeds, ["a", "a", "b"], ["a", "b"]).tolist() == [1, 1]


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_nearest_intents_sparse_equals_dense_equals_the_definition(seed):
    rng = np.random.default_rng(seed)
    rows, seeds = rng.normal(size=(30, 6)), rng.normal(size=(9, 6))
    labels = ["a", "b", "c"] * 3
    found = nearest_intents(rows, seeds, labels, ["a", "b", "c"])
    unit = seeds / np.linalg.norm(seeds, axis=1, keepdims=True)
    centres = np.stack([unit[start::3].mean(axis=0) for start in range(3)])
    cosines = rows @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T
    np.testing.assert_array_equal(found, cosines.argmax(axis=1))
    in_sparse = nearest_intents(sparse.csr_matrix(rows), sparse.csr_matrix(seeds), labels, ["a", "b", "c"])
    np.testing.assert_array_equal(found, in_sparse)


@pytest.mark.parametrize(
    ("seeds", "labels"), [(SEEDS[:0], []), (SEEDS, ["a"]), (SEEDS[:, :2], LABELS)], ids=["none", "labels", "columns"]
)
def test_nearest_intents_shapes_that_do_not_fit_are_refused(seeds, labels):
    with pytest.raises(DataError, match="one row per seed"):
        nearest_intents(np.ones((1, 3)), seeds, labels, ["a", "b"])
