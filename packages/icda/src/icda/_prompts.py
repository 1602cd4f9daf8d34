"""Prompts that ask a language model for utterances of one intent. Pure."""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from icda._choices import choose
from icda._names import humanise_intent
from twllm_types import ConfigError, DataError

_T = TypeVar("_T")


class PromptStyle(StrEnum):
    """How to ask.

    SAHU: for a base model, byte for byte the template of ServiceNow/data-augmentation-with-llms (Sahu et al. 2022,
    `utils/data_utils/augment_slices.py`), the nearest known ancestor of ICDA's, whose own is unknown to us. CHAT: the
    text of a user's message for an instruction model [ours]. ZH_TW: the same in Traditional Chinese as used in Taiwan
    [ours].
    """

    SAHU = "sahu"
    CHAT = "chat"
    ZH_TW = "zh-TW"


def build_prompt(
    intent: str,
    seeds: Sequence[str],
    *,
    style: PromptStyle | str = PromptStyle.SAHU,
    show_name: bool = True,
    num_examples: int | None = None,
    num_new: int = 1,
) -> str:
    """Ask for utterances of an intent by example.

    Args:
        intent: the label; shown humanised (`card_arrival` as "card arrival"). Upstream shows its `id2name` entry.
        seeds: utterances of the intent, shown in this order, white space in each made single spaces.
        style: a `PromptStyle` or its name.
        show_name: False hides the intent's name, so that the examples speak alone.
        num_examples: shows only the first so many seeds, >= 1; None for all.
        num_new: utterances to ask for, >= 1. The words of `sahu` do not change: a base model goes on with its list as
            far as the stop strings let it (`stop_strings`).

    Raises:
        DataError: there is no seed, one is blank, or the label is blank.
        ConfigError: no such style, or a count below 1.
    """
    form = choose(PromptStyle, style, name="prompt style")
    if num_new < 1 or (num_examples is not None and num_examples < 1):
        raise ConfigError(f"num_examples is {num_examples}, num_new is {num_new}; give counts >= 1")
    shown = [" ".join(seed.split()) for seed in seeds[:num_examples]]
    if not shown or not all(shown):
        raise DataError(
            f"intent {intent!r} has {'an empty seed' if shown else 'no seed'} to show; give it an utterance"
        )
    name = humanise_intent(intent)
    if not name:
        raise DataError(f"intent {intent!r} has no name; give it one")
    return _BUILDERS[form](name if show_name else None, shown, num_new)


def stop_strings(style: PromptStyle | str, *, num_new: int = 1) -> tuple[str, ...]:
    """Where generation may stop: the end of the line for one utterance of `sahu`, else a blank line; none for chats."""
    if choose(PromptStyle, style, name="prompt style") is not PromptStyle.SAHU:
        return ()
    return ("\n",) if num_new == 1 else ("\n\n",)


def choose_examples(
    seeds: Sequence[_T], *, intent: str, number: int, seed: int, num_examples: int | None
) -> tuple[_T, ...]:
    """Seeds to show in request `number` of an intent, shuffled; the same arguments give the same choice.

    Args:
        seeds: of the intent, in the order of the data.
        intent: the label.
        number: of the request, so that prompts differ.
        seed: of the run.
        num_examples: how many, >= 1; None, or more than there are, for all.

    Raises:
        ConfigError: `num_examples` is below 1.
    """
    if num_examples is not None and num_examples < 1:
        raise ConfigError(f"num_examples is {num_examples}; give a number >= 1, or null for all seeds")

    def rank(place: int) -> bytes:
        return hashlib.sha256(f"{seed}\0{intent}\0{number}\0{place}".encode("utf-8", "surrogatepass")).digest()

    order = sorted(range(len(seeds)), key=rank)
    return tuple(seeds[place] for place in order[:num_examples])


def _sahu(name: str | None, seeds: Sequence[str], num_new: int) -> str:
    del num_new
    head = "" if name is None else f" '{name}'"
    lines = [f"Example {number}: {text}" for number, text in enumerate([*seeds, ""], start=1)]
    return f"The following sentences belong to the same category{head}:\n" + "\n".join(lines).removesuffix(" ")


def _chat(name: str | None, seeds: Sequence[str], num_new: int) -> str:
    about = "They all have the same intent." if name is None else f'They all have the same intent: "{name}".'
    many = "1 new utterance" if num_new == 1 else f"{num_new} new utterances"
    return (
        f"Here are things that users have said to an assistant. {about}\n\n{_numbered(seeds)}\n\n"
        f"Write {many} with exactly this intent. Vary wording, length and details, and copy none of the above.\n"
        "Give one per line as a numbered list, and nothing else."
    )


def _zh_tw(name: str | None, seeds: Sequence[str], num_new: int) -> str:
    about = "這些話的意圖都相同。" if name is None else f"這些話的意圖都是「{name}」。"
    return (
        f"以下是使用者對客服助理說的話。{about}\n\n{_numbered(seeds)}\n\n"
        f"請用台灣人平常的說法，再寫 {num_new} 句意圖完全相同的話。用詞、長短與細節要有變化，不要照抄上面的句子。\n"
        "每行一句，前面加上編號，不要寫其他內容。"
    )


def _numbered(seeds: Sequence[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(seeds, start=1))


_BUILDERS = {PromptStyle.SAHU: _sahu, PromptStyle.CHAT: _chat, PromptStyle.ZH_TW: _zh_tw}
