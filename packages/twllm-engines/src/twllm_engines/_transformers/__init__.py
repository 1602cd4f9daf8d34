"""The transformers engine: a causal language model in this process."""

from twllm_engines._transformers._engine import TransformersEngine

__all__ = ["TransformersEngine"]
