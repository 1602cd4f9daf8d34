"""Log-probabilities of continuations.

Shapes: N positions whose prediction is needed, K tokens to score, V vocabulary.
"""

# torch is partly untyped
# pyright: standard

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan

import torch
from torch import Tensor

from twllm_engines._transformers._cache import Prefix
from twllm_engines._transformers._forward import Predictor
from twllm_engines._transformers._plan import Limits, Node, Row, merge_rows, pack_rows, plan_prefixes
from twllm_engines._transformers._splits import Split
from twllm_types import EngineFailure, FailureKind, Likelihood

# A second pass over a shared prefix costs about as much as reading so many tokens.
_MIN_SAVED = 32


def score_splits(predictor: Predictor, splits: Sequence[Split], limits: Limits) -> list[Likelihood | EngineFailure]:
    """Score every split; prefixes that splits share are computed once.

    Args:
        predictor: the model.
        splits: what to score.
        limits: of one forward pass; a batch that runs out of memory is halved.

    Returns:
        One per split, in order; a failure where a row alone does not fit into memory, or the model gives NaN.
    """
    wanted = [Row(tokens=split.tokens[:-1], first_needed=split.start - 1) for split in splits]
    rows, covers = merge_rows(wanted)
    readers: list[list[int]] = [[] for _ in rows]
    for index, cover in enumerate(covers):
        readers[cover].append(index)
    scorer = _Scorer(predictor=predictor, rows=rows, readers=readers, splits=splits, limits=limits)
    # without shared prefixes no plan can save anything
    root = plan_prefixes(rows, min_saved=_MIN_SAVED if predictor.shares else 2**62)
    results: list[Likelihood | EngineFailure | None] = [None] * len(splits)
    if root is not None:
        for index, result in scorer.walk(root, None):
            results[index] = result
    return [result for result in results if result is not None]


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether memory ran out; on a CPU torch says so by a RuntimeError of its allocator."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


@dataclass(slots=True, kw_only=True)
class _Scorer:
    predictor: Predictor
    rows: list[Row]
    readers: list[list[int]]
    splits: Sequence[Split]
    limits: Limits

    def walk(self, node: Node, parent: Prefix | None) -> Iterator[tuple[int, Likelihood | EngineFailure]]:
        """Yield the results of everything below a node, its prefix computed once."""
        prefix = parent
        if node.length > node.start:
            try:
                prefix = self.predictor.prefix(self.rows[node.row].tokens[node.start : node.length], parent)
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                yield from self._fail(_below(node))
                return
        for batch in pack_rows(self.rows, node.leaves, prefix=node.length, limits=self.limits):
            yield from self._score(batch, prefix, node.length)
        for child in node.children:
            yield from self.walk(child, prefix)

    def _score(
        self, batch: tuple[int, ...], prefix: Prefix | None, start: int
    ) -> Iterator[tuple[int, Likelihood | EngineFailure]]:
        try:
            found = self._predict(batch, prefix, start)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            found = None
        if found is not None:
            yield from found
        elif len(batch) == 1:
            yield from self._fail(batch)
        else:
            half = len(batch) // 2
            yield from self._score(batch[:half], prefix, start)
            yield from self._score(batch[half:], prefix, start)

    def _predict(
        self, batch: tuple[int, ...], prefix: Prefix | None, start: int
    ) -> list[tuple[int, Likelihood | EngineFailure]]:
        chosen: list[tuple[int, int]] = []
        at_N: list[int] = []
        targets_K: list[int] = []
        requests: list[tuple[int, int]] = []
        for place, row in enumerate(batch):
            first = self.rows[row].first_needed
            base = len(chosen) - first
            chosen.extend((place, position - start) for position in range(first, len(self.rows[row].tokens)))
            for request in self.readers[row]:
                split = self.splits[request]
                at_N.extend(base + position for position in range(split.start - 1, len(split.tokens) - 1))
                targets_K.extend(split.tokens[split.start :].tolist())
                requests.append((request, len(split.tokens) - split.start))
        rows = [self.rows[row].tokens[start:] for row in batch]
        logits_NV = self.predictor.predict(rows, chosen, prefix=prefix)
        logprobs_K, greedy_K = _look_up(logits_NV, at_N, targets_K)
        results: list[tuple[int, Likelihood | EngineFailure]] = []
        end = 0
        for request, length in requests:
            begin, end = end, end + length
            results.append((request, _likelihood(logprobs_K[begin:end], greedy_K[begin:end])))
        return results

    def _fail(self, rows: Sequence[int]) -> Iterator[tuple[int, EngineFailure]]:
        for row in rows:
            for request in self.readers[row]:
                yield request, no_memory(len(self.splits[request].tokens))


def _below(node: Node) -> list[int]:
    return [*node.leaves, *(leaf for child in node.children for leaf in _below(child))]


def _look_up(logits_NV: Tensor, at_N: list[int], targets_K: list[int]) -> tuple[list[float], list[bool]]:
    at_K = torch.tensor(at_N, device=logits_NV.device)
    target_K = torch.tensor(targets_K, device=logits_NV.device)
    logprobs_K = logits_NV[at_K, target_K] - logits_NV.logsumexp(-1)[at_K]
    return logprobs_K.tolist(), (logits_NV.argmax(-1)[at_K] == target_K).tolist()


def _likelihood(logprobs: list[float], greedy: list[bool]) -> Likelihood | EngineFailure:
    if any(isnan(logprob) for logprob in logprobs):
        return not_a_number()
    # the logarithm of a probability next to 1 may round to just above 0
    total = sum(min(logprob, 0.0) for logprob in logprobs)
    return Likelihood(logprob=total, num_tokens=len(logprobs), is_greedy=all(greedy))


def no_memory(num_tokens: int) -> EngineFailure:
    """Say that one text alone does not fit into memory."""
    return EngineFailure(
        kind=FailureKind.OUT_OF_MEMORY,
        message=f"memory ran out for one text of {num_tokens} tokens alone; shorten it, or take a larger device",
    )


def not_a_number() -> EngineFailure:
    """Say that a model computes NaN."""
    return EngineFailure(
        kind=FailureKind.MALFORMED_RESPONSE,
        message="the model gave a log-probability that is not a number; try dtype: float32",
    )
