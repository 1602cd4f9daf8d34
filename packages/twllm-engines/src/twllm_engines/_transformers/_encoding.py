"""Text to tokens and back, with a rule for the beginning-of-sequence token."""

# transformers' tokenizers are partly untyped
# pyright: standard

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
from transformers import PreTrainedTokenizerBase

from twllm_engines._settings import BosRule
from twllm_engines._transformers._splits import Ids
from twllm_types import ConfigError, Conversation, Role

# Texts encoded at once: what the tokenizer keeps beside the ids (offsets, words) is many times larger than the ids.
_CHUNK = 64
# What tells how a tokenizer opens a text; any text that it turns into at least one token would do.
_PROBE = "a"


class TextEncoder:
    """A tokenizer with a rule of its own for what stands before a text.

    Args:
        tokenizer: of transformers.
        bos: when a beginning-of-sequence token is added; it is never doubled where the text begins with it.

    Raises:
        ConfigError: a beginning-of-sequence token is wanted and the tokenizer has none.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, bos: BosRule) -> None:
        self.tokenizer = tokenizer
        self.opening = _opening(tokenizer, bos)
        self._backend: Any = getattr(tokenizer, "backend_tokenizer", None)
        if self._backend is not None:
            # a tokenizer file may carry both, and neither is silently done
            self._backend.no_truncation()
            self._backend.no_padding()

    @property
    def can_render(self) -> bool:
        """There is a chat template."""
        return self.tokenizer.chat_template is not None

    def encode(self, texts: Sequence[str], *, opened: bool = True) -> Iterator[Ids]:
        """Yield the ids of each text; an empty text gives the opening alone.

        Args:
            texts: what to encode.
            opened: the opening stands before each text; a rendered conversation brings its own.
        """
        for start in range(0, len(texts), _CHUNK):
            for ids in self._encode(list(texts[start : start + _CHUNK])):
                yield np.array(self._open(ids) if opened else ids, dtype=np.int32)

    def decode(self, ids: Sequence[int], *, keep_special: bool = False) -> str:
        """Return the text of `ids`; special tokens are left out unless they are to be kept."""
        text = self.tokenizer.decode(
            list(ids), skip_special_tokens=not keep_special, clean_up_tokenization_spaces=False
        )
        return cast("str", text)

    def render(self, conversation: Conversation) -> str:
        """Write a conversation by the chat template, up to where the assistant's next turn begins.

        A conversation that ends with the assistant's words ends open there: what follows continues them.

        Raises:
            ConfigError: there is no template, or it refuses the conversation.
        """
        if not self.can_render:
            raise ConfigError("the model has no chat template; set chat_template to a Jinja file, or give raw text")
        from jinja2 import TemplateError

        last = conversation.messages[-1].role is Role.ASSISTANT
        messages = [{"role": str(turn.role), "content": turn.content} for turn in conversation.messages]
        try:
            text = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=not last, continue_final_message=last
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise ConfigError(f"the chat template refuses this conversation ({_line(error)}); change it") from error
        return cast("str", text)

    def _encode(self, texts: list[str]) -> Iterator[list[int]]:
        if self._backend is None:
            encoded = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
            yield from cast("list[list[int]]", encoded["input_ids"])
            return
        # half the time of the call above, which also collects offsets and words
        yield from (found.ids for found in self._backend.encode_batch_fast(texts, add_special_tokens=False))

    def _open(self, ids: list[int]) -> list[int]:
        missing = len(self.opening)
        return ids if ids[:missing] == self.opening else [*self.opening, *ids]


def _opening(tokenizer: Any, bos: BosRule) -> list[int]:
    if bos is BosRule.NEVER:
        return []
    if bos is BosRule.ALWAYS:
        if tokenizer.bos_token_id is None:
            raise ConfigError("bos is always, but the tokenizer has no beginning-of-sequence token; set bos: tokenizer")
        return [int(tokenizer.bos_token_id)]
    plain = list(tokenizer(_PROBE, add_special_tokens=False)["input_ids"])
    opened = list(tokenizer(_PROBE, add_special_tokens=True)["input_ids"])
    for start in range(len(opened) - len(plain) + 1):
        if opened[start : start + len(plain)] == plain:
            return opened[:start]
    return []


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
