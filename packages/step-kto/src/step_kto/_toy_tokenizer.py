"""A tokenizer of about 150 tokens for the arithmetic task, with offsets like any fast tokenizer."""

from string import ascii_letters, digits, punctuation
from typing import TYPE_CHECKING

from step_kto._arithmetic_stories import story_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD_TOKEN, EOS_TOKEN, UNKNOWN_TOKEN = "<pad>", "<eos>", "<unk>"
_PHRASES = ("## Step ", "\\boxed{", "Compute ", ": ", " = ", " + ", " - ", " * ", " / ", ". ", "?\n", ".\n", "}\n")


def toy_vocabulary() -> tuple[str, ...]:
    """Return the tokens in the order of their numbers: specials, phrases of a solution, story words, characters."""
    words = tuple(word for story in story_words() for word in (f" {story}", story) if len(story) > 1)
    tokens = (PAD_TOKEN, EOS_TOKEN, UNKNOWN_TOKEN, *_PHRASES, *words, *digits, *punctuation, *ascii_letters, " ", "\n")
    return tuple(dict.fromkeys(tokens))


def make_toy_tokenizer() -> "PreTrainedTokenizerFast":
    """Build the tokenizer: phrases and words of the task are one token, all other ASCII text goes by character.

    Decoding gives the text back exactly where it is printable ASCII; another character becomes the unknown token. No
    token is added to a text; the end-of-sequence token is the trainer's to append.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = toy_vocabulary()
    phrases = sorted((token for token in vocabulary[3:] if len(token) > 1), key=lambda token: (-len(token), token))
    pattern = "|".join(_escaped(phrase) for phrase in phrases) + r"|[\s\S]"
    numbers = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(vocab=numbers, unk_token=UNKNOWN_TOKEN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD_TOKEN,
        eos_token=EOS_TOKEN,
        unk_token=UNKNOWN_TOKEN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _escaped(text: str) -> str:
    # a word must end where the token ends, else "have" would be cut into "has"-like pieces inside longer words
    boundary = r"(?![A-Za-z])" if text[-1].isalpha() else ""
    return "".join(f"\\x{{{ord(char):x}}}" for char in text) + boundary
