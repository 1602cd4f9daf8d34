"""From logits to tokens. Each row is drawn by itself: what else is in the batch does not matter.

Shapes: B rows, V vocabulary.
"""

# torch is partly untyped
# pyright: standard

from collections.abc import Sequence
from math import isfinite

import numpy as np
import torch
from torch import Tensor

from twllm_types import SamplingParams

# What tells seeds that a request names from those that the engine gives out.
_NAMED, _UNNAMED = 1, 0


def sampler(params: SamplingParams, *, sample: int, engine_seed: int, request_number: int) -> np.random.Generator:
    """Return the random numbers of one sample of one request.

    A request that names a seed draws the same numbers whatever stands beside it; one that names none gets its own by
    the engine's seed and its number since the engine was loaded.
    """
    if params.seed is not None:
        return np.random.default_rng([_NAMED, params.seed % 2**64, sample])
    return np.random.default_rng([_UNNAMED, engine_seed, request_number, sample])


def choose(logits_BV: Tensor, params: Sequence[SamplingParams], uniforms: Sequence[float]) -> list[int | None]:
    """Choose one token per row; None where the row has no probabilities: NaN or +inf among its logits, or all -inf.

    Temperature 0 takes the most likely token. Otherwise the logits are divided by the temperature, cut to the `top_k`
    most likely, then to the smallest set of them that holds `top_p` of the probability, and the token is where the
    cumulated probability passes the uniform number.

    Args:
        logits_BV: float32.
        params: one per row.
        uniforms: one per row, in [0, 1).
    """
    # the largest value of a row with NaN is NaN, so one pass finds both the token and the fault
    values_B, ids_B = logits_BV.max(-1)
    values, best = values_B.tolist(), ids_B.tolist()
    chosen: list[int | None] = []
    for row, how in enumerate(params):
        if not isfinite(values[row]):
            chosen.append(None)
        else:
            chosen.append(best[row] if how.temperature == 0 else _draw(logits_BV[row], how, uniforms[row]))
    return chosen


def _draw(logits_V: Tensor, params: SamplingParams, uniform: float) -> int:
    scaled_V = logits_V / params.temperature
    if params.top_k is None and params.top_p == 1:
        return _invert(scaled_V.softmax(-1), uniform)
    num_kept = min(params.top_k or len(scaled_V), len(scaled_V))
    kept, ids = scaled_V.topk(num_kept)
    p = kept.softmax(-1)
    # a token stays while those before it hold less than top_p: the first always does
    before = p.cumsum(-1) - p
    p = torch.where(before < params.top_p, p, torch.zeros_like(p))
    return int(ids[_invert(p, uniform)])


def _invert(p: Tensor, uniform: float) -> int:
    cumulated = p.double().cumsum(-1)
    at = int(torch.searchsorted(cumulated, cumulated[-1] * uniform, right=True))
    # rounding may put the last sum below the number
    return min(at, int(p.nonzero()[-1]))
