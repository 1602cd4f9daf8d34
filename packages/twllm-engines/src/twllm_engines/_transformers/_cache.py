"""Keys and values of a prefix, computed once and read by many rows.

Shapes: B rows, H heads of keys, P tokens of the prefix, S tokens after it, D size of a head.
"""

# transformers' cache is untyped
# pyright: standard

import copy
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import CacheLayerMixin, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """What attention keeps of a prefix, batch size 1; never changed once made.

    Attributes:
        cache: one layer for each of the model's.
        length: P, also where a sliding layer keeps fewer.
    """

    cache: DynamicCache
    length: int


class _LentLayer(DynamicLayer):
    """A prefix read by a batch of rows; what the rows add is attended to once and not kept."""

    def __init__(self, layer: DynamicLayer) -> None:
        super().__init__()
        self.keys, self.values = layer.keys, layer.values
        self.lent_keys, self.lent_values = cast("Tensor", layer.keys), cast("Tensor", layer.values)
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        return _append(self.lent_keys, key_states), _append(self.lent_values, value_states)


class _LentSlidingLayer(DynamicSlidingWindowLayer):
    """The same for a sliding window: the prefix's last window - 1 tokens are all that a later token sees of it."""

    def __init__(self, layer: DynamicSlidingWindowLayer) -> None:
        super().__init__(sliding_window=layer.sliding_window)
        self.keys, self.values = layer.keys, layer.values
        self.lent_keys, self.lent_values = cast("Tensor", layer.keys), cast("Tensor", layer.values)
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
        self.cumulative_length = layer.cumulative_length

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: object, **_kwargs: object
    ) -> tuple[Tensor, Tensor]:
        return _append(self.lent_keys, key_states), _append(self.lent_values, value_states)


def cannot_share(config: PreTrainedConfig) -> str | None:
    """Say why a model's prefixes cannot be lent, or None where they can.

    Only attention whose keys and values are kept per token can be: a recurrent state cannot be read by rows of
    different lengths, and layers that read the keys of another layer would see the prefix alone.
    """
    if getattr(config.get_text_config(), "num_kv_shared_layers", None):
        return "some layers read the keys of other layers"
    return next((f"layers of the kind {type(layer).__name__}" for layer in _other_layers(config)), None)


def keeps_tokens_only(config: PreTrainedConfig) -> bool:
    """Tell whether a model keeps keys and values per token and nothing else, so that padding can be masked."""
    return not _other_layers(config)


def lend(prefix: Prefix, config: PreTrainedConfig) -> DynamicCache:
    """Return a cache that reads `prefix` for rows whose own keys are not kept: one layer's are alive at a time."""
    cache = DynamicCache(config=config)
    cache.layers = cast("Any", [_lend_layer(cast("DynamicLayer", layer)) for layer in prefix.cache.layers])
    return cache


def extend(prefix: Prefix | None, config: PreTrainedConfig) -> DynamicCache:
    """Return a cache that begins with `prefix` and keeps what is added; `prefix` stays as it is."""
    cache = DynamicCache(config=config)
    if prefix is not None:
        # an update replaces a layer's tensors and changes none in place, so that a shallow copy is enough
        cache.layers = [copy.copy(layer) for layer in prefix.cache.layers]
    return cache


def _other_layers(config: PreTrainedConfig) -> list[object]:
    return [layer for layer in DynamicCache(config=config).layers if not _is_plain(layer)]


def _is_plain(layer: object) -> bool:
    # a window of one token keeps nothing, which the sliding layer's slices cannot express
    if type(layer) is DynamicSlidingWindowLayer:
        return layer.sliding_window > 1
    return type(layer) is DynamicLayer


def _lend_layer(layer: DynamicLayer) -> CacheLayerMixin:
    return _LentSlidingLayer(layer) if isinstance(layer, DynamicSlidingWindowLayer) else _LentLayer(layer)


def _append(prefix_1HPD: Tensor, new_BHSD: Tensor) -> Tensor:
    return torch.cat([prefix_1HPD.expand(new_BHSD.shape[0], -1, -1, -1), new_BHSD], dim=-2)
