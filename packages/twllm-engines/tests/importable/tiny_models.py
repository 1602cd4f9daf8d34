"""Tiny random models with a tokenizer made here; nothing is fetched."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

CONTEXT_TOKENS = 160
CORPUS = [
    "問題：下列何者為哺乳類？\n(A) 鯨魚\n(B) 鯊魚\n(C) 企鵝\n(D) 烏龜\n正確答案：(A)",
    "以下為地理的單選題，請提供正確答案的選項。臺灣最高的山是玉山。\nAnswer: A",
    "one two three four five six seven eight nine ten, stop here and there",
]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

torch.set_num_threads(1)


def make_tokenizer(*, bos: bool = False, template: bool = True, merges: bool = True) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer over a small corpus; with `bos`, it begins every text with a token.

    Without `merges` every byte is a token.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330 if merges else 258,
        special_tokens=["<end>", "<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>", bos_token="<s>")
    if template:
        fast.chat_template = TEMPLATE
    return fast


def merging_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer of single characters in which '(A' is one token and '(B' is two."""
    words = ["?", "(", ")", "A", "B", "C", "x", "y", "(A"]
    vocabulary = {word: at for at, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("(", "A")], unk_token="?"))
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="?", pad_token="?")


def _sizes(**more: Any) -> dict[str, Any]:
    return {
        "vocab_size": 330,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": CONTEXT_TOKENS,
        "eos_token_id": 0,
        "pad_token_id": 0,
        "bos_token_id": 1,
        **more,
    }


def llama() -> PreTrainedModel:
    """Rotary positions, grouped heads."""
    return LlamaForCausalLM(LlamaConfig(**_sizes()))


def mistral() -> PreTrainedModel:
    """A window of 7 tokens in every layer."""
    return MistralForCausalLM(MistralConfig(**_sizes(sliding_window=7)))


def qwen2() -> PreTrainedModel:
    """A window of 6 tokens in the upper layers."""
    sizes = _sizes(use_sliding_window=True, sliding_window=6, max_window_layers=1)
    del sizes["head_dim"]
    return Qwen2ForCausalLM(Qwen2Config(**sizes))


def gemma3() -> PreTrainedModel:
    """Sliding and full layers by turns."""
    layers = ["sliding_attention", "full_attention", "sliding_attention"]
    return Gemma3ForCausalLM(Gemma3TextConfig(**_sizes(sliding_window=5, layer_types=layers)))


def bloom() -> PreTrainedModel:
    """Linear biases instead of positions, which its forward pass does not take."""
    return BloomForCausalLM(BloomConfig(vocab_size=330, hidden_size=32, n_layer=2, n_head=4))


def gpt2() -> PreTrainedModel:
    """Learned positions."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=330, n_embd=32, n_layer=3, n_head=4, n_positions=CONTEXT_TOKENS, eos_token_id=0, bos_token_id=1
        )
    )


ARCHITECTURES: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": llama,
    "mistral": mistral,
    "qwen2": qwen2,
    "gemma3": gemma3,
    "gpt2": gpt2,
    "bloom": bloom,
}


def make_model(name: str) -> PreTrainedModel:
    """Return a model whose predictions depend clearly on what it reads: wide random weights, seeded."""
    torch.manual_seed(20)
    model = ARCHITECTURES[name]().eval()
    for parameter in _matrices(model):
        parameter.data.mul_(10)
    return model


def save_model(folder: Path, name: str, tokenizer: PreTrainedTokenizerFast) -> Path:
    """Write a model and a tokenizer as a folder that an engine loads."""
    make_model(name).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _matrices(model: PreTrainedModel) -> Iterator[torch.nn.Parameter]:
    return (weights for weights in model.parameters() if weights.ndim == 2)
