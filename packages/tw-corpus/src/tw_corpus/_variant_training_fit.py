"""Fitting by numpy alone: sparse counts, multinomial logistic regression with a Gaussian prior, calibration.

Shapes: N samples, V n-grams, C classes, K lengths.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Objective = Callable[[Doubles], tuple[float, Doubles]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparseRows:
    """Feature values of N samples, by row (CSR).

    Attributes:
        starts: (N + 1,) where each row begins.
        columns: number of each feature.
        values: its value.
        num_columns: V.
    """

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int32]
    values: npt.NDArray[np.float32]
    num_columns: int

    @property
    def num_rows(self) -> int:
        """N."""
        return len(self.starts) - 1


def sparse_rows(
    row_of: npt.NDArray[np.integer], columns: npt.NDArray[np.integer], scales: Doubles, num_columns: int
) -> SparseRows:
    """Count how often each feature occurs in each row, and multiply by the scale of the row.

    Args:
        row_of: row of each occurrence, 0..N-1, in any order.
        columns: feature of each occurrence, 0..V-1.
        scales: (N,) factor of each row.
        num_columns: V.
    """
    cells, counts = np.unique(row_of.astype(np.int64) * num_columns + columns, return_counts=True)
    rows = cells // num_columns
    starts = np.searchsorted(rows, np.arange(len(scales) + 1))
    return SparseRows(
        starts=starts.astype(np.int64),
        columns=(cells % num_columns).astype(np.int32),
        values=(counts * scales[rows]).astype(np.float32),
        num_columns=num_columns,
    )


def products(matrix: SparseRows, weights: Doubles) -> Doubles:
    """`matrix @ weights`, shape (N, C)."""
    scores = np.zeros((matrix.num_rows, weights.shape[1]))
    filled = np.flatnonzero(np.diff(matrix.starts))
    if len(filled):
        terms = weights[matrix.columns] * matrix.values[:, None]
        scores[filled] = np.add.reduceat(terms, matrix.starts[filled], axis=0)
    return scores


def transposed_products(matrix: SparseRows, errors: Doubles) -> Doubles:
    """`matrix.T @ errors`, shape (V, C)."""
    row_of = np.repeat(np.arange(matrix.num_rows, dtype=np.int32), np.diff(matrix.starts))
    gradient = np.zeros((matrix.num_columns, errors.shape[1]))
    for column in range(errors.shape[1]):
        terms = matrix.values * errors[row_of, column]
        gradient[:, column] = np.bincount(matrix.columns, weights=terms, minlength=matrix.num_columns)
    return gradient


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A logistic regression.

    Attributes:
        matrix: (N, V) features.
        targets: (N, C) probabilities of each class; C = 1 is a regression of one probability.
        weights: (N,) of the samples.
        prior: (V, C) where the weights stay if the data say nothing.
        strengths: (V,) what half the squared distance from the prior costs, in samples.
    """

    matrix: SparseRows
    targets: Doubles
    weights: Doubles
    prior: Doubles
    strengths: Doubles


def fit(problem: Problem, *, num_steps: int) -> tuple[Doubles, Doubles]:
    """Maximum a posteriori weights, shape (V, C), and biases, shape (C,), which are free."""
    shape = problem.prior.shape
    start = np.concatenate([problem.prior.ravel(), np.zeros(shape[1])])

    def objective(parameters: Doubles) -> tuple[float, Doubles]:
        weights, biases = parameters[: -shape[1]].reshape(shape), parameters[-shape[1] :]
        loss, errors = cross_entropy(products(problem.matrix, weights) + biases, problem.targets, problem.weights)
        away = weights - problem.prior
        pull = problem.strengths[:, None] * away
        loss += 0.5 * float(np.sum(pull * away))
        gradient = transposed_products(problem.matrix, errors) + pull
        return loss, np.concatenate([gradient.ravel(), errors.sum(axis=0)])

    found = minimize(objective, start, num_steps=num_steps)
    return found[: -shape[1]].reshape(shape), found[-shape[1] :]


def cross_entropy(logits: Doubles, targets: Doubles, weights: Doubles) -> tuple[float, Doubles]:
    """Weighted cross-entropy in nats and its gradient by the logits, shape (N, C); C = 1 is logistic."""
    if logits.shape[1] == 1:
        losses = np.logaddexp(0.0, logits) - targets * logits
        errors = 1 / (1 + np.exp(-np.clip(logits, -700, 700))) - targets
    else:
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_total = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        losses = -(targets * (shifted - log_total))
        errors = np.exp(shifted - log_total) - targets
    return float(weights @ losses.sum(axis=1)), errors * weights[:, None]


# Pairs of steps and gradient changes that approximate the curvature (Nocedal and Wright, Numerical Optimization, 7.2).
_MEMORY = 6
_SUFFICIENT_DECREASE = 1e-4
_MAX_HALVINGS = 30
_TOLERANCE = 1e-6


def minimize(objective: Objective, start: Doubles, *, num_steps: int) -> Doubles:
    """Minimise a smooth convex function by L-BFGS with backtracking; stops early where nothing is gained.

    Args:
        objective: value and gradient.
        start: shape (parameters,).
        num_steps: most steps.
    """
    pairs: deque[tuple[Doubles, Doubles]] = deque(maxlen=_MEMORY)
    at = start
    value, gradient = objective(at)
    for _ in range(num_steps):
        direction = -_times_inverse_curvature(gradient, pairs)
        slope = float(gradient @ direction)
        if slope >= -_TOLERANCE * max(1.0, abs(value)) * 1e-3:
            break
        step = 1.0 if pairs else min(1.0, 1.0 / float(np.abs(gradient).sum() + 1e-12))
        for _ in range(_MAX_HALVINGS):
            candidate = at + step * direction
            new_value, new_gradient = objective(candidate)
            if new_value <= value + _SUFFICIENT_DECREASE * step * slope:
                break
            step /= 2
        else:
            break
        change = new_gradient - gradient
        if float(change @ (candidate - at)) > 1e-12:
            pairs.append((candidate - at, change))
        gained = value - new_value
        at, value, gradient = candidate, new_value, new_gradient
        if gained <= _TOLERANCE * max(1.0, abs(value)):
            break
    return at


def _times_inverse_curvature(gradient: Doubles, pairs: deque[tuple[Doubles, Doubles]]) -> Doubles:
    """The two-loop recursion."""
    product = gradient.copy()
    factors: list[float] = []
    for moved, change in reversed(pairs):
        factor = float(moved @ product) / float(change @ moved)
        factors.append(factor)
        product -= factor * change
    if pairs:
        moved, change = pairs[-1]
        product *= float(change @ moved) / float(change @ change)
    for (moved, change), factor in zip(pairs, reversed(factors), strict=True):
        product += (factor - float(change @ product) / float(change @ moved)) * moved
    return product


def calibrate(
    scores: Doubles, num_han: npt.NDArray[np.integer], targets: Doubles, weights: Doubles, lengths: Doubles
) -> tuple[Doubles, Doubles]:
    """A factor and a bias of each class at each length, interpolated linearly by the logarithm of the length.

    Temperature and bias scaling (Guo et al. 2017, On Calibration of Modern Neural Networks) with parameters that move
    with the length; neighbouring lengths are tied by a penalty on their difference.

    Args:
        scores: (N, C) sums as the model scales them.
        num_han: (N,) lengths.
        targets: (N, C).
        weights: (N,) of the samples.
        lengths: (K,) rising.

    Returns:
        Factors, shape (K,), and biases, shape (K, C).
    """
    basis = interpolation_basis(num_han, lengths)
    num_lengths, num_classes = len(lengths), scores.shape[1]

    def objective(parameters: Doubles) -> tuple[float, Doubles]:
        factors, biases = parameters[:num_lengths], parameters[num_lengths:].reshape(num_lengths, num_classes)
        logits = (basis @ factors)[:, None] * scores + basis @ biases
        loss, errors = cross_entropy(logits, targets, weights)
        rough = np.diff(factors)
        rough_biases = np.diff(biases, axis=0)
        loss += _TIE * (float(rough @ rough) + float(np.sum(rough_biases**2))) + _PULL * float(np.sum(biases**2))
        by_factor = basis.T @ (errors * scores).sum(axis=1) + 2 * _TIE * _difference_gradient(rough[:, None])[:, 0]
        by_bias = basis.T @ errors + 2 * _TIE * _difference_gradient(rough_biases) + 2 * _PULL * biases
        return loss, np.concatenate([by_factor, by_bias.ravel()])

    start = np.concatenate([np.ones(num_lengths), np.zeros(num_lengths * num_classes)])
    found = minimize(objective, start, num_steps=200)
    return found[:num_lengths], found[num_lengths:].reshape(num_lengths, num_classes)


_TIE = 10.0
_PULL = 1.0


def _difference_gradient(rough: Doubles) -> Doubles:
    """Half the gradient of the sum of squared differences, shape (K, ...)."""
    edge = np.zeros((1, *rough.shape[1:]))
    return np.concatenate([edge, rough]) - np.concatenate([rough, edge])


def interpolation_basis(num_han: npt.NDArray[np.integer], lengths: Doubles) -> Doubles:
    """Weights of linear interpolation between the logarithms of `lengths`, shape (N, K); constant outside."""
    at = np.log(np.maximum(num_han, 1))
    units: Doubles = np.eye(len(lengths), dtype=np.float64)
    columns: list[Doubles] = [np.interp(at, np.log(lengths), unit) for unit in units]
    return np.stack(columns, axis=1)
