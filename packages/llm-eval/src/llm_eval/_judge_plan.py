"""What is put to a judge: each item, repeat and attempt with its prompt. No model is asked here."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from llm_eval._dimensions import Dimension
from llm_eval._items import JudgeItem, item_sha256
from llm_eval._judge_settings import JudgeSettings
from llm_eval._judgements import Judgement, JudgementFailureKind
from llm_eval._prompts import build_prompt
from twllm_types import Conversation, DataError, Message, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJudgement:
    """One judgement to ask for.

    Attributes:
        item: what is judged.
        repeat: 0 for the first judgement of an item, k for its k-th repetition.
        attempt: 1 for the first try.
        draw: 0 for the first sampling; a further one has another seed. An attempt that the engine failed drew nothing.
        dimensions: in the order of the prompt.
        prompt: the user's message.
        item_sha256: hash of the item, made before the asking, which nothing should hold up.
    """

    item: JudgeItem
    repeat: int
    attempt: int = 1
    draw: int = 0
    dimensions: tuple[Dimension, ...]
    prompt: str
    item_sha256: str

    @property
    def key(self) -> tuple[str, int]:
        """What the judgement is known by."""
        return self.item.id, self.repeat

    def again(self, *, attempt: int, draw: int) -> "PlannedJudgement":
        """Return the same judgement as another attempt."""
        return replace(self, attempt=attempt, draw=draw)


def plan_judgements(items: Sequence[JudgeItem], settings: JudgeSettings) -> tuple[PlannedJudgement, ...]:
    """Build the prompts of all items and repeats; those of an item stand together.

    Raises:
        DataError: there is no item, or two have one id.
        ConfigError: the style has no words for an item.
    """
    if not items:
        raise DataError("there is no item to judge; give at least one")
    ids = [item.id for item in items]
    if len(set(ids)) < len(ids):
        twice = next(name for at, name in enumerate(ids) if name in ids[:at])
        raise DataError(f"id {twice!r} stands for two items; give each its own")
    return tuple(_plan(item, repeat, settings) for item in items for repeat in range(settings.repeats))


def dimension_order(dimensions: Sequence[Dimension], *, seed: int, item_id: str, repeat: int) -> tuple[Dimension, ...]:
    """Return the dimensions in an order of their own for each item and repeat, ranked by SHA-256."""

    def rank(dimension: Dimension) -> bytes:
        return hashlib.sha256(f"dimensions\0{seed}\0{item_id}\0{repeat}\0{dimension.name}".encode()).digest()

    return tuple(sorted(dimensions, key=rank))


def may_try_again(judgement: Judgement, settings: JudgeSettings) -> bool:
    """Tell whether the retry policy gives a failed judgement another attempt."""
    failure, policy = judgement.failure, settings.retry
    return failure is not None and failure.kind in policy.kinds and judgement.num_attempts < policy.max_attempts


def failed_by_engine(judgement: Judgement) -> bool:
    """Tell whether the engine gave nothing that could be read or not."""
    return judgement.failure is not None and judgement.failure.kind is JudgementFailureKind.ENGINE_ERROR


def content_sha256(content: str | Conversation) -> str:
    """Hash of a prompt as sent: of the text, or of the conversation as JSON."""
    text = content if isinstance(content, str) else _turns(content)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def prompts_sha256(plan: Iterable[PlannedJudgement]) -> str:
    """One hash of all messages with their items and repeats, in order: it says whether two runs asked the same."""
    digest = hashlib.sha256()
    for planned in plan:
        line = json.dumps([planned.item.id, planned.repeat, content_sha256(planned.prompt)])
        digest.update(f"{line}\n".encode("ascii"))
    return digest.hexdigest()


def as_conversation(prompt: str) -> Conversation:
    """One user's message; there is no system's turn."""
    return Conversation(messages=(Message(role=Role.USER, content=prompt),))


def _plan(item: JudgeItem, repeat: int, settings: JudgeSettings) -> PlannedJudgement:
    dimensions = settings.dimensions
    if settings.shuffle_dimensions:
        dimensions = dimension_order(dimensions, seed=settings.seed, item_id=item.id, repeat=repeat)
    prompt = build_prompt(
        item,
        dimensions,
        settings.scale,
        settings.style.value,
        with_reason=settings.with_reason,
        taiwan_rule=settings.taiwan_rule,
    )
    return PlannedJudgement(
        item=item, repeat=repeat, dimensions=dimensions, prompt=prompt, item_sha256=item_sha256(item)
    )


def _turns(conversation: Conversation) -> str:
    return json.dumps([[message.role.value, message.content] for message in conversation.messages], ensure_ascii=False)
