"""Which answer each prompt is mismatched with, for the reference points z0. Pure: the seed decides.

KTO estimates z0 on pairs of a prompt and the answer to another prompt (arXiv 2402.01306). Libraries that rotate the
answers inside a batch pair a prompt with an answer of its own where several samples of one prompt follow each other
(step_kto.md, 3.5). Here the partner is drawn once over the whole set, so that it depends on neither the batch, the
order of training nor the number of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from twllm_types import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledStep:
    """One mismatched step: the row's own steps before `own_step`, then one step of another prompt's answer.

    Attributes:
        partner: place of the row whose step it is.
        own_step: how many steps of the row's own answer come first, 0 <= own_step < its number of steps.
        partner_step: place of the step within the partner's answer.
    """

    partner: int
    own_step: int
    partner_step: int


def draw_partners(prompts: Sequence[str], *, seed: int, where: str) -> tuple[int, ...]:
    """Give each row the place of a row with another prompt.

    Rows are shuffled with the rows of one prompt side by side, and each takes the answer that stands a fixed distance
    on; the distance is drawn between the size of the largest prompt's group and the rest. So every answer is used
    exactly once. Where one prompt has more than half of the rows that cannot be, and partners are drawn independently.

    Args:
        prompts: of the rows; at least 1.
        seed: of the draw; the same prompts and seed give the same partners.
        where: names the set; begins the message.

    Raises:
        DataError: all rows share one prompt.
    """
    groups: dict[str, list[int]] = {}
    for place, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(place)
    if len(groups) == 1:
        raise DataError(
            f"{where}: all {len(prompts)} rows have one prompt, so no answer is mismatched; add another problem, "
            "or set outcome_z0='zero' and step_z0='zero'"
        )
    # a draw of samples, not a secret
    rng = Random(f"partners:{seed}")  # noqa: S311
    order: list[int] = []
    for members in rng.sample(list(groups.values()), len(groups)):
        order += rng.sample(members, len(members))
    largest = max(len(members) for members in groups.values())
    partners = [0] * len(prompts)
    if 2 * largest <= len(prompts):
        shift = rng.randint(largest, len(prompts) - largest)
        for at, place in enumerate(order):
            partners[place] = order[(at + shift) % len(order)]
        return tuple(partners)
    for place, prompt in enumerate(prompts):
        others = len(prompts) - len(groups[prompt])
        partners[place] = _outside(order, groups[prompt], rng.randrange(others))
    return tuple(partners)


def draw_steps(num_steps: Sequence[int], partners: Sequence[int], *, seed: int) -> tuple[SampledStep, ...]:
    """Draw one mismatched step for each row: where in its own answer, and which step of the partner's.

    Args:
        num_steps: steps of each row's answer, each at least 1.
        partners: of `draw_partners`.
        seed: of the draw.
    """
    # a draw of samples, not a secret
    rng = Random(f"steps:{seed}")  # noqa: S311
    return tuple(
        SampledStep(
            partner=partner, own_step=rng.randrange(num_steps[place]), partner_step=rng.randrange(num_steps[partner])
        )
        for place, partner in enumerate(partners)
    )


def _outside(order: Sequence[int], members: Sequence[int], number: int) -> int:
    """The number-th row of `order` that is none of `members`, which stand side by side in it."""
    start = min(order.index(member) for member in members)
    return order[number if number < start else number + len(members)]
