# torch's random functions are partly untyped, so this wrapper is checked in standard mode.
# pyright: standard
"""A small Llama for the arithmetic task."""

from typing import TYPE_CHECKING

from step_kto._toy_tokenizer import EOS_TOKEN, PAD_TOKEN, toy_vocabulary

if TYPE_CHECKING:
    from transformers import LlamaConfig, LlamaForCausalLM


def toy_model_config(
    *, hidden_size: int = 144, num_layers: int = 4, num_heads: int = 4, max_positions: int = 512
) -> "LlamaConfig":
    """Return the configuration: 1.0 million parameters as it stands, tied embeddings.

    Args:
        hidden_size: width, a multiple of 2 * num_heads.
        num_layers: depth.
        num_heads: attention heads.
        max_positions: longest sequence, in tokens.
    """
    from transformers import LlamaConfig

    vocabulary = toy_vocabulary()
    return LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden_size,
        intermediate_size=hidden_size * 8 // 3 // 16 * 16,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        num_key_value_heads=num_heads,
        max_position_embeddings=max_positions,
        tie_word_embeddings=True,
        pad_token_id=vocabulary.index(PAD_TOKEN),
        bos_token_id=None,
        eos_token_id=vocabulary.index(EOS_TOKEN),
        attention_dropout=0.0,
    )


def make_toy_model(seed: int, config: "LlamaConfig | None" = None) -> "LlamaForCausalLM":
    """Make the model with fresh float32 weights.

    Args:
        seed: of the weights; the caller's random state of torch is left as it was.
        config: None for `toy_model_config()`.
    """
    import torch
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config if config is not None else toy_model_config())
