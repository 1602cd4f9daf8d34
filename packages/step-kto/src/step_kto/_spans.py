"""Which token belongs to which step: a solution is tokenised once and its tokens are mapped by character offsets."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Literal, Protocol, TypeAlias, cast

from twllm_types import ConfigError, DataError

_SURROGATE = re.compile("[\ud800-\udfff]")

PromptBorder: TypeAlias = Literal["joint", "apart"]


class OffsetTokenizer(Protocol):
    """What is asked of a tokenizer: a fast one of transformers has it."""

    @property
    def is_fast(self) -> bool:
        """Whether it knows character offsets."""
        ...

    def __call__(self, text: str, *, add_special_tokens: bool, return_offsets_mapping: bool) -> Mapping[str, Any]:
        """Return "input_ids" and, where asked for, "offset_mapping"."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedSolution:
    """A prompt and the tokens of its completion, each in one step.

    Attributes:
        prompt_ids: tokens of the prompt.
        completion_ids: tokens of all steps, and the end-of-sequence token where it was asked for.
        step_ids: the step of each completion token, 0..num_steps-1, never falling; no step is without token.
        num_steps: how many steps there are, at least 1.
        border: "joint" where the completion's tokens are those behind the prompt's in the joint text; "apart" where the
            tokenizer merges over that border and the completion was tokenised alone.
    """

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    step_ids: tuple[int, ...]
    num_steps: int
    border: PromptBorder

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Per step the range of its tokens within `completion_ids`, end exclusive; they follow each other."""
        ends = [bisect_right(self.step_ids, step) for step in range(self.num_steps)]
        return tuple(pairwise((0, *ends)))

    @property
    def num_tokens(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)


def step_token_ids(
    tokenizer: OffsetTokenizer,
    prompt: str,
    steps: Sequence[str],
    *,
    eos_id: int | None,
    bos_id: int | None = None,
) -> TokenizedSolution:
    r"""Tokenise a solution once and give each token the step that holds its first character that is no white space.

    So a token ".\n\n" belongs to the step that it ends, "\n##" to the step that it begins, and a token of white space
    alone to the step of its first character. The prompt keeps the tokens that it has alone, since generation fixed
    them before the first token of the answer; where the joint text begins with them, the answer's tokens are the rest
    of the joint text, which spares tokenizers that put a space in front of every text a second one (Llama 2). Where
    the joint text does not, the answer is tokenised alone. No special token is added but the two given.

    Args:
        tokenizer: a fast one.
        prompt: the text before the answer, as the model sees it (chat template applied).
        steps: texts of the steps, which joined are the answer.
        eos_id: put behind the last step, and so inside it; None for an answer that was cut off.
        bos_id: put before the prompt; None where the prompt's template holds it or the model has none.

    Raises:
        ConfigError: the tokenizer knows no offsets.
        DataError: there is no step, a step is blank, a step has no token of its own because the token that holds it
            begins in the step before, a step holds the end-of-sequence token that is put behind the last, the offsets
            do not run forward, or the text has a lone surrogate.
    """
    if not tokenizer.is_fast:
        raise ConfigError("the tokenizer knows no character offsets; load the fast one (use_fast=True)")
    _check_steps(steps)
    completion = "".join(steps)
    prompt_ids, _ = _encode(tokenizer, prompt)
    joint_ids, joint_offsets = _encode(tokenizer, prompt + completion)
    border: PromptBorder
    if joint_ids[: len(prompt_ids)] == prompt_ids:
        border, start = "joint", len(prompt)
        ids, offsets = joint_ids[len(prompt_ids) :], joint_offsets[len(prompt_ids) :]
    else:
        border, start = "apart", 0
        ids, offsets = _encode(tokenizer, completion)
    step_ids = _steps_of_tokens(completion, steps, [(left - start, right - start) for left, right in offsets])
    _check_every_step_has_tokens(steps, step_ids)
    if eos_id is not None:
        if eos_id in ids:
            number = step_ids[ids.index(eos_id)] + 1
            raise DataError(
                f"step {number} holds the end-of-sequence token as text; take it out, it is added at the end"
            )
        ids, step_ids = [*ids, eos_id], [*step_ids, len(steps) - 1]
    return TokenizedSolution(
        prompt_ids=tuple(prompt_ids if bos_id is None else [bos_id, *prompt_ids]),
        completion_ids=tuple(ids),
        step_ids=tuple(step_ids),
        num_steps=len(steps),
        border=border,
    )


def check_length(solution: TokenizedSolution, *, max_length: int, where: str) -> None:
    """Refuse a solution that is longer than `max_length` tokens; nothing is ever cut off here.

    Args:
        solution: the row.
        max_length: most tokens of prompt and completion together, at least 1.
        where: names the row; begins the message.

    Raises:
        DataError: it is too long.
    """
    if solution.num_tokens > max_length:
        raise DataError(
            f"{where}: prompt ({len(solution.prompt_ids)} tokens) and completion ({len(solution.completion_ids)}) are "
            f"longer than max_length {max_length}; raise max_length, or drop the row or its last steps"
        )


def num_steps_within(solution: TokenizedSolution, *, max_length: int) -> int:
    """How many whole steps from the first fit into `max_length` tokens with the prompt; 0 where none does."""
    room = max_length - len(solution.prompt_ids)
    return sum(end <= room for _, end in solution.spans)


def keep_first_steps(solution: TokenizedSolution, num_steps: int) -> TokenizedSolution:
    """Drop whole steps from the end, the end-of-sequence token with the last.

    The outcome is then no longer that of the text: the caller makes it unknown, and drops the steps' labels.

    Raises:
        DataError: `num_steps` is not in 1..the number of steps.
    """
    if not 1 <= num_steps <= solution.num_steps:
        raise DataError(f"cannot keep {num_steps} of {solution.num_steps} steps; keep at least 1, at most all")
    end = solution.spans[num_steps - 1][1]
    return TokenizedSolution(
        prompt_ids=solution.prompt_ids,
        completion_ids=solution.completion_ids[:end],
        step_ids=solution.step_ids[:end],
        num_steps=num_steps,
        border=solution.border,
    )


def _encode(tokenizer: OffsetTokenizer, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    if not text.isascii() and (broken := _SURROGATE.search(text)) is not None:
        raise DataError(
            f"character {broken.start() + 1} of prompt and completion is a lone surrogate "
            f"(U+{ord(broken.group()):04X}), which no tokenizer reads; replace it"
        )
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    return cast("list[int]", encoded["input_ids"]), cast("list[tuple[int, int]]", encoded["offset_mapping"])


def _steps_of_tokens(completion: str, steps: Sequence[str], offsets: list[tuple[int, int]]) -> list[int]:
    ends = list(accumulate(len(step) for step in steps))
    step_ids = [bisect_right(ends, _anchor(completion, start, end)) for start, end in offsets]
    if any(later < earlier for earlier, later in pairwise(step_ids)):
        raise DataError("the tokenizer's character offsets run backwards; use a tokenizer that does not reorder text")
    return step_ids


def _anchor(completion: str, start: int, end: int) -> int:
    """Place of the token's first character that is no white space; its first character where there is none."""
    # A dummy space before the text has the offsets of nothing, or reaches back into the prompt.
    start = min(max(start, 0), len(completion) - 1)
    for place in range(start, end):
        if not completion[place].isspace():
            return place
    return start


def _check_steps(steps: Sequence[str]) -> None:
    if not steps:
        raise DataError("the completion has no step; drop the row")
    for number, step in enumerate(steps, start=1):
        if not step.strip():
            raise DataError(f"step {number} is blank; join it with its neighbour (segment_steps does)")


def _check_every_step_has_tokens(steps: Sequence[str], step_ids: Sequence[int]) -> None:
    missing = set(range(len(steps))).difference(step_ids)
    if missing:
        number = min(missing) + 1
        raise DataError(
            f"step {number} {steps[number - 1][:40]!r} has no token of its own: the token that holds it begins in the "
            "step before; cut steps where the text has white space"
        )
