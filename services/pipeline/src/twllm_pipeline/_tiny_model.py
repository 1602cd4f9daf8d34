"""A tiny language model with random weights: it shows that everything after it runs, and answers at chance."""
# torch and transformers carry partial types only
# pyright: standard

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from twllm_runs import remove_temporaries, write_json_atomic
from twllm_types import JsonObject

VOCAB_SIZE = 1_000
_MARK = "made.json"
_MAX_POSITIONS = 8_192
_END = "<|end|>"


def make_tiny_model(texts: Iterable[str], folder: Path, *, seed: int) -> Path:
    """Write a byte-level tokenizer, trained on `texts`, and a two-layer Llama with random weights.

    Args:
        texts: what the tokenizer learns its pieces from; any text can be encoded all the same.
        folder: takes the model; one that was made before with the same seed is left as it is.
        seed: of the weights, >= 0.

    Returns:
        `folder`, which `transformers` and the engine `hf:` load.
    """
    made: JsonObject = {"seed": seed, "vocab_size": VOCAB_SIZE}
    mark = folder / _MARK
    if mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == made:
        return folder
    # what a killed start left behind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _save_tokenizer(texts, folder)
    _save_weights(folder, seed)
    write_json_atomic(mark, made)
    remove_temporaries(folder)
    return folder


def _save_tokenizer(texts: Iterable[str], folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_END).save_pretrained(folder)


def _save_weights(folder: Path, seed: int) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    # its bar would break the progress display
    logging.disable_progress_bar()
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=_MAX_POSITIONS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
