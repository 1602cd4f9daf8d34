"""Forward passes that give predictions at chosen positions only.

Shapes: B rows, S tokens of the longest, N chosen positions, V vocabulary.
"""

# torch and transformers are partly untyped
# pyright: standard

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from twllm_engines._transformers._cache import Prefix, cannot_share, extend, keeps_tokens_only, lend
from twllm_engines._transformers._splits import Ids

# Two ways to compute the same float32 prediction differ by rounding alone; wrong positions or masks show as tenths.
_TOLERANCE_FLOAT32 = 1e-3
# bfloat16 has 8 bits: single logits differ by tenths there, their mean over the vocabulary does not.
_TOLERANCE_MEAN_REDUCED = 0.1
_PROBE_PREFIX, _PROBE_ROWS = 24, (9, 5, 7)


class Predictor:
    """A causal language model that reads rows after a shared prefix and predicts at chosen positions.

    Rows are padded at the right. Attention is causal, so no token of a row ever sees the padding, and no mask for it
    is needed; positions count on from the prefix. Predictions of padding are never read.

    Attributes:
        model: in evaluation mode.
        shares: prefixes can be shared; where not, every row is read from its beginning.
        why_not: the reason, or None.
        pads: rows of different lengths can be written together; where not, each is written alone.
    """

    def __init__(self, model: PreTrainedModel, *, share: bool = True) -> None:
        self.model = model.eval()
        self.config = model.config
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self._selects = model.get_output_embeddings() is not None
        self.why_not = cannot_share(model.config) if share else "switched off"
        self.shares = self.why_not is None
        self.pads = keeps_tokens_only(model.config)
        self._check()

    @property
    def device(self) -> torch.device:
        """Where the inputs go."""
        return next(self.model.get_input_embeddings().parameters()).device

    @property
    def vocab_size(self) -> int:
        """V, number of predictions per position."""
        return int(self.config.get_text_config().vocab_size)

    @property
    def selects(self) -> bool:
        """The output layer is computed at chosen positions only."""
        return self._selects

    @torch.inference_mode()
    def prefix(self, tokens: Ids, parent: Prefix | None = None) -> Prefix:
        """Compute keys and values of `tokens`, which stand after `parent`, and keep them."""
        length = parent.length if parent else 0
        cache = extend(parent, self.config)
        nothing = torch.empty(0, dtype=torch.long, device=self.device)
        self._logits(self._stack([tokens]), cache=cache, start=length, chosen=(nothing, nothing))
        return Prefix(cache=cache, length=length + len(tokens))

    @torch.inference_mode()
    def predict(
        self, rows: Sequence[Ids], chosen: Sequence[tuple[int, int]], *, prefix: Prefix | None = None
    ) -> Tensor:
        """Return the logits, float32, shape (N, V), at chosen (row, position) pairs.

        Args:
            rows: tokens after the prefix, none empty.
            chosen: rows and positions, counted from the row's first token.
            prefix: what stands before every row.
        """
        pairs = torch.tensor(np.array(chosen, dtype=np.int64).reshape(-1, 2), device=self.device)
        cache = lend(prefix, self.config) if prefix else None
        start = prefix.length if prefix else 0
        return self._logits(self._stack(rows), cache=cache, start=start, chosen=(pairs[:, 0], pairs[:, 1])).float()

    @torch.inference_mode()
    def predict_pieces(self, row: Ids, *, width: int) -> Iterator[tuple[int, Tensor]]:
        """Yield (first position, logits of shape (up to `width`, V), float32) over all positions of one row.

        A long text is read in pieces, each with the keys and values of those before it, so that the predictions of
        one piece are in memory at a time. Where prefixes cannot be shared it is read at once.
        """
        if not self.shares:
            width = len(row)
        cache = extend(None, self.config) if len(row) > width else None
        for start in range(0, len(row), width):
            piece = row[start : start + width]
            at = torch.arange(len(piece), device=self.device)
            yield (
                start,
                self._logits(self._stack([piece]), cache=cache, start=start, chosen=(torch.zeros_like(at), at)).float(),
            )

    @torch.inference_mode()
    def step(self, tokens_BS: Tensor, mask_BT: Tensor, cache: DynamicCache) -> Tensor:
        """Read tokens after those in `cache`, which keeps them, and return the last position's logits, float32, (B, V).

        Args:
            tokens_BS: ids, padded at the left.
            mask_BT: 1 for every token so far, 0 for padding; its last S columns are those of `tokens_BS`.
            cache: of the tokens before.
        """
        num_rows, width = tokens_BS.shape
        inputs: dict[str, object] = {"attention_mask": mask_BT}
        if self._takes_positions:
            inputs["position_ids"] = (mask_BT.cumsum(-1) - 1).clamp(min=0)[:, -width:]
        at_B = torch.arange(num_rows, device=tokens_BS.device)
        chosen = (at_B, torch.full_like(at_B, width - 1))
        return self._run(tokens_BS, chosen, past_key_values=cache, **inputs).float()

    def _stack(self, rows: Sequence[Ids]) -> Tensor:
        tokens_BS = np.zeros((len(rows), max(len(row) for row in rows)), dtype=np.int64)
        for at, row in enumerate(rows):
            tokens_BS[at, : len(row)] = row
        return torch.from_numpy(tokens_BS).to(self.device)

    def _logits(
        self, tokens_BS: Tensor, *, cache: DynamicCache | None, start: int, chosen: tuple[Tensor, Tensor]
    ) -> Tensor:
        if cache is None:
            return self._run(tokens_BS, chosen)
        if not self._takes_positions:
            return self._run(tokens_BS, chosen, past_key_values=cache)
        positions_S = torch.arange(start, start + tokens_BS.shape[1], device=tokens_BS.device)
        return self._run(tokens_BS, chosen, past_key_values=cache, position_ids=positions_S.expand(tokens_BS.shape))

    def _run(self, tokens_BS: Tensor, chosen: tuple[Tensor, Tensor], **inputs: object) -> Tensor:
        inputs |= {"input_ids": tokens_BS, "use_cache": "past_key_values" in inputs, "return_dict": True}
        head = self.model.get_output_embeddings()
        if head is None or not self._selects:
            return self.model(**inputs).logits[chosen]
        with _only(head, chosen):
            return self.model(**inputs).logits[0]

    def _check(self) -> None:
        """Compare each short cut with a plain forward pass, and leave out what does not agree."""
        limit = getattr(self.config.get_text_config(), "max_position_embeddings", None) or 64
        prefix_length = min(_PROBE_PREFIX, limit - max(_PROBE_ROWS))
        if prefix_length < 1:
            self.shares, self.why_not = False, f"a context of {limit} tokens"
            return
        probe = (np.arange(prefix_length + sum(_PROBE_ROWS)) * 7919 + 11) % self.vocab_size
        head, rows, at = probe[:prefix_length].astype(np.int32), [], prefix_length
        for length in _PROBE_ROWS:
            rows.append(probe[at : at + length].astype(np.int32))
            at += length
        chosen = [(row, length - 1) for row, length in enumerate(_PROBE_ROWS)]
        with torch.inference_mode():
            plain = torch.cat(
                [
                    self.model(self._stack([np.concatenate([head, row])]), use_cache=False).logits[:, -1].float()
                    for row in rows
                ]
            )
        wholes = [np.concatenate([head, row]) for row in rows]
        ends = [(row, len(whole) - 1) for row, whole in enumerate(wholes)]
        self._selects = self._selects and self._agrees(plain, lambda: self.predict(wholes, ends))
        if self.shares and not self._agrees(plain, lambda: self.predict(rows, chosen, prefix=self.prefix(head))):
            self.shares, self.why_not = False, "predictions after a shared prefix differ from those of a full pass"
            self.pads = False

    def _agrees(self, plain: Tensor, other: Callable[[], Tensor]) -> bool:
        try:
            return self._same(plain, other())
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
            # the model keeps or shapes something otherwise, so that the short cut is no option
            return False

    def _same(self, left: Tensor, right: Tensor) -> bool:
        if left.shape != right.shape:
            return False
        gap = (left.log_softmax(-1) - right.log_softmax(-1)).abs()
        # both may be -inf where a model masks part of its vocabulary
        gap = gap[~(left.isneginf() & right.isneginf())]
        if self.model.dtype == torch.float32:
            return bool(gap.max() <= _TOLERANCE_FLOAT32)
        return bool(gap.mean() <= _TOLERANCE_MEAN_REDUCED)


@contextmanager
def _only(head: torch.nn.Module, chosen: tuple[Tensor, Tensor]) -> Iterator[None]:
    """Let the output layer see the hidden states at chosen positions only, as a batch of one.

    What the model does to its logits afterwards (a scale, a soft cap) acts on each position alone and stays in force.
    """

    def select(_module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0][chosen].unsqueeze(0), *inputs[1:])

    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()
