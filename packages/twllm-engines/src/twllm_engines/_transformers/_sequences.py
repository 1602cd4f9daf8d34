"""Log-probabilities of every token of a text, with the moments of the whole distribution.

Shapes: N positions, V vocabulary, T tokens of a text.
"""

# torch is partly untyped
# pyright: standard

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from twllm_engines._transformers._forward import Predictor
from twllm_engines._transformers._plan import Limits, Row, pack_rows
from twllm_engines._transformers._score import is_out_of_memory, no_memory, not_a_number
from twllm_engines._transformers._splits import Ids
from twllm_types import EngineFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceStats:
    """Natural log-probabilities of a text's tokens after its first, and mean and deviation of log p under p there.

    Attributes:
        logprobs: shape (T - 1,), <= 0.
        means: shape (T - 1,), <= 0.
        stds: shape (T - 1,), >= 0.
    """

    logprobs: NDArray[np.float32]
    means: NDArray[np.float32]
    stds: NDArray[np.float32]


def score_sequences(
    predictor: Predictor, sequences: Sequence[Ids], limits: Limits
) -> Iterator[tuple[int, SequenceStats | EngineFailure]]:
    """Yield (index, statistics) of every sequence; short ones are read together, long ones in pieces.

    Args:
        predictor: the model.
        sequences: ids, each of shape (T,) with T >= 2.
        limits: of one forward pass; what runs out of memory is halved.
    """
    rows = [Row(tokens=tokens[:-1], first_needed=0) for tokens in sequences]
    for batch in pack_rows(rows, range(len(rows)), prefix=0, limits=limits):
        yield from _score(predictor, sequences, batch, limits)


def moments(logits_NV: Tensor, targets: Ids) -> SequenceStats:
    """Return log p(target) with mean and standard deviation of log p(z) under z ~ p, per position.

    Mean mu = sum p log p and deviation sigma = sqrt(sum p (log p - mu)^2) (Min-K%++, arXiv 2404.02936, eq. 3); an entry
    of probability 0 adds 0 to both.

    Args:
        logits_NV: float32, shape (N, V).
        targets: ids, shape (N,).
    """
    logprobs_NV = logits_NV.log_softmax(-1)
    target_N = torch.from_numpy(targets.astype(np.int64)).to(logits_NV.device)
    # a probability next to 1 may round to a logarithm just above 0
    own_N = logprobs_NV.gather(1, target_N[:, None])[:, 0].clamp(max=0)
    p_NV = logprobs_NV.exp()
    impossible_NV = logprobs_NV.isneginf()
    logprobs_NV = logprobs_NV.masked_fill(impossible_NV, 0.0)
    mean_N = (p_NV * logprobs_NV).sum(-1).clamp(max=0)
    std_N = (p_NV * (logprobs_NV - mean_N[:, None]) ** 2).sum(-1).sqrt()
    own, mean, std = (part_N.cpu().numpy() for part_N in (own_N, mean_N, std_N))
    return SequenceStats(logprobs=own, means=mean, stds=std)


def _score(
    predictor: Predictor, sequences: Sequence[Ids], batch: tuple[int, ...], limits: Limits
) -> Iterator[tuple[int, SequenceStats | EngineFailure]]:
    if len(batch) == 1:
        yield batch[0], _alone(predictor, sequences[batch[0]], limits)
        return
    try:
        found = _together(predictor, [sequences[index] for index in batch])
    except (torch.OutOfMemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        found = None
    if found is None:
        half = len(batch) // 2
        yield from _score(predictor, sequences, batch[:half], limits)
        yield from _score(predictor, sequences, batch[half:], limits)
    else:
        yield from zip(batch, found, strict=True)


def _together(predictor: Predictor, sequences: Sequence[Ids]) -> list[SequenceStats | EngineFailure]:
    rows = [tokens[:-1] for tokens in sequences]
    chosen = [(place, position) for place, row in enumerate(rows) for position in range(len(row))]
    stats = moments(predictor.predict(rows, chosen), np.concatenate([tokens[1:] for tokens in sequences]))
    results: list[SequenceStats | EngineFailure] = []
    end = 0
    for row in rows:
        part = slice(end, end + len(row))
        end = part.stop
        results.append(
            _checked(SequenceStats(logprobs=stats.logprobs[part], means=stats.means[part], stds=stats.stds[part]))
        )
    return results


def _alone(predictor: Predictor, tokens: Ids, limits: Limits) -> SequenceStats | EngineFailure:
    width = max(1, min(limits.max_needed, limits.max_read))
    while True:
        try:
            pieces = [
                moments(logits_NV, tokens[start + 1 : start + 1 + len(logits_NV)])
                for start, logits_NV in predictor.predict_pieces(tokens[:-1], width=width)
            ]
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if width == 1 or not predictor.shares:
                return no_memory(len(tokens))
            width = min(width, len(tokens)) // 2
            continue
        return _checked(
            SequenceStats(
                logprobs=np.concatenate([piece.logprobs for piece in pieces]),
                means=np.concatenate([piece.means for piece in pieces]),
                stds=np.concatenate([piece.stds for piece in pieces]),
            )
        )


def _checked(stats: SequenceStats) -> SequenceStats | EngineFailure:
    return not_a_number() if np.isnan(stats.logprobs).any() or np.isnan(stats.means).any() else stats
