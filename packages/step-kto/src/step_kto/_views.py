"""The sequences that are scored for a row: its own, and those with the answer or a step of another. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from step_kto._pairing import SampledStep

ViewName: TypeAlias = Literal["matched", "mismatched", "sampled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One sequence that is scored: a context and the tokens behind it, each in a step.

    Attributes:
        prompt_ids: the context, at least one token.
        completion_ids: what is scored; empty only where a mismatched answer has no step that fits.
        step_ids: step of each of them, 0..num_steps-1, never falling.
        num_steps: H of this sequence.
    """

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    step_ids: tuple[int, ...]
    num_steps: int

    @property
    def num_tokens(self) -> int:
        """Tokens of context and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)


def mismatched_view(own: View, partner: View, *, max_tokens: int | None) -> View:
    """The prompt of one row and the answer of another; whole steps are left out at the end where it would not fit."""
    ids, step_ids, num_steps = partner.completion_ids, partner.step_ids, partner.num_steps
    if is_too_long(own, partner, max_tokens):
        room = (max_tokens or 0) - len(own.prompt_ids)
        num_steps = step_ids[room] if room >= 0 else 0
        end = step_ids.index(num_steps)
        ids, step_ids = ids[:end], step_ids[:end]
    return View(prompt_ids=own.prompt_ids, completion_ids=ids, step_ids=step_ids, num_steps=num_steps)


def sampled_view(own: View, partner: View, drawn: SampledStep, *, max_tokens: int | None) -> View:
    """The prompt, the own steps before the drawn place, and one step of another answer; empty where it does not fit."""
    context = own.prompt_ids + own.completion_ids[: own.step_ids.index(drawn.own_step)]
    ids = tuple(
        token
        for token, step in zip(partner.completion_ids, partner.step_ids, strict=True)
        if step == drawn.partner_step
    )
    if max_tokens is not None and len(context) + len(ids) > max_tokens:
        ids = ()
    return View(prompt_ids=context, completion_ids=ids, step_ids=(0,) * len(ids), num_steps=min(len(ids), 1))


def is_too_long(own: View, partner: View, max_tokens: int | None) -> bool:
    """Whether the prompt of one row and the answer of another do not fit; never where `max_tokens` is None."""
    return max_tokens is not None and len(own.prompt_ids) + len(partner.completion_ids) > max_tokens
