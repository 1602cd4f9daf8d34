"""Reference points: the value, the clamp, no gradient, and how ranks add up."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from step_kto._z0 import mean_z0, mismatched_z0, outcome_z0_sums, step_z0_sums, zero_z0
from twllm_types import ShapeError

RATIOS = torch.tensor([[4.0, 2.0, 99.0], [-1.0, 99.0, 99.0]])
PRESENT = torch.tensor([[True, True, False], [True, False, False]])


def test_z0_is_mean_over_answers_and_mean_over_steps():
    outcome, step = mismatched_z0(RATIOS, PRESENT)
    assert outcome.raw.item() == pytest.approx((6 - 1) / 2)
    assert step.raw.item() == pytest.approx((4 + 2 - 1) / 3)
    assert outcome.clamped.item() == outcome.raw.item()


def test_z0_below_zero_is_clamped_and_kept_raw():
    outcome, step = mismatched_z0(-RATIOS, PRESENT)
    assert (outcome.raw.item(), outcome.clamped.item()) == (-2.5, 0.0)
    assert step.raw.item() < 0 == step.clamped.item()


def test_z0_has_no_gradient():
    ratios = RATIOS.clone().requires_grad_()
    for z0 in mismatched_z0(ratios, PRESENT):
        assert not z0.raw.requires_grad
        assert not z0.clamped.requires_grad
    assert not outcome_z0_sums(ratios, PRESENT).requires_grad
    assert not step_z0_sums(ratios, PRESENT).requires_grad


def test_z0_of_absent_steps_ignores_nan():
    outcome, _ = mismatched_z0(RATIOS.masked_fill(~PRESENT, float("nan")), PRESENT)
    assert outcome.raw.item() == 2.5


def test_z0_of_no_pair_is_zero():
    for z0 in mismatched_z0(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.bool)):
        assert (z0.raw.item(), z0.clamped.item()) == (0.0, 0.0)


def test_z0_of_answer_without_steps_counts_no_pair():
    with_empty = mismatched_z0(torch.cat((RATIOS, torch.ones(1, 3))), torch.cat((PRESENT, torch.zeros(1, 3).bool())))
    assert [z0.raw.item() for z0 in with_empty] == [z0.raw.item() for z0 in mismatched_z0(RATIOS, PRESENT)]


@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 4), min_size=1, max_size=5),
)
def test_sums_of_ranks_combine_to_the_whole(seed, sizes):
    rng = np.random.default_rng(seed)
    ratios = torch.tensor(rng.normal(size=(sum(sizes), 3)))
    present = torch.tensor(np.arange(3) < rng.integers(0, 4, size=(sum(sizes), 1)))
    for sums in (outcome_z0_sums, step_z0_sums):
        ranks = [sums(r, p) for r, p in zip(ratios.split(sizes), present.split(sizes), strict=True)]
        whole, combined = mean_z0(sums(ratios, present)), mean_z0(torch.stack(ranks).sum(0))
        torch.testing.assert_close(combined.raw, whole.raw, rtol=1e-12, atol=1e-12)


def test_unequal_ranks_differ_from_the_mean_of_means_as_documented():
    ranks = [(torch.tensor([[6.0]]), 1), (torch.tensor([[0.0], [0.0], [0.0]]), 3)]
    sums = torch.stack([outcome_z0_sums(ratios, torch.ones(n, 1, dtype=torch.bool)) for ratios, n in ranks]).sum(0)
    mean_of_means = torch.stack([ratios.mean() for ratios, _ in ranks]).mean()
    assert mean_z0(sums).raw.item() == 1.5
    assert mean_of_means.item() == 3.0


def test_sampled_estimator_is_the_mean_over_drawn_steps():
    drawn = torch.tensor([[3.0], [5.0], [float("nan")]])
    assert mean_z0(step_z0_sums(drawn, torch.tensor([[True], [True], [False]]))).raw.item() == 4.0


def test_zero_estimator_is_zero_in_the_dtype_of_the_ratios():
    z0 = zero_z0(torch.ones(2, dtype=torch.float64))
    assert (z0.raw.item(), z0.clamped.item(), z0.raw.dtype) == (0.0, 0.0, torch.float64)


def test_z0_of_misfitting_shapes_is_refused():
    with pytest.raises(ShapeError, match=r"log-ratios \(2, 3\) and presence \(2, 2\)"):
        mismatched_z0(RATIOS, PRESENT[:, :2])
    with pytest.raises(ShapeError, match=r"sums \(3,\) must be \(2,\)"):
        mean_z0(torch.zeros(3))
