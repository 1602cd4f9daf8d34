"""What the engines share whose model runs in this process: rendering, prompts, and splits of likelihood requests."""

# transformers' tokenizers are partly untyped
# pyright: standard

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from twllm_engines._base import EngineBase
from twllm_engines._engine import EngineCapabilities
from twllm_engines._transformers._encoding import TextEncoder
from twllm_engines._transformers._splits import Ids, Split, split_continuations
from twllm_types import (
    Conversation,
    EngineError,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    JsonObject,
    LikelihoodRequest,
    ModelIdentity,
)


class LocalEngine(EngineBase):
    """An engine with a tokenizer of transformers.

    Args:
        name: of the engine, in messages.
        identity: which model answers.
        settings: as they ran.
        encoder: the tokenizer with its rule for what stands before a text.
    """

    def __init__(self, *, name: str, identity: ModelIdentity, settings: JsonObject, encoder: TextEncoder) -> None:
        opening: JsonObject = {"opening_tokens": [int(token) for token in encoder.opening]}
        super().__init__(name=name, identity=identity, settings=settings | opening)
        self._encoder = encoder

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the engine can do; conversations only with a chat template."""
        return EngineCapabilities(
            likelihood=True,
            sequence_logprobs=True,
            chat=self._encoder.can_render,
            raw_prompts=True,
            json_schema=self._holds_schemas,
            max_top_logprobs=self._max_top_logprobs,
            renders_chat=self._encoder.can_render,
        )

    def render_chat(self, conversation: Conversation) -> str:
        """Return the conversation as raw text, up to where the assistant's next turn begins.

        A conversation that ends with the assistant's words stays open there.

        Raises:
            ConfigError: there is no chat template, or it refuses the conversation.
        """
        return self._encoder.render(conversation)

    @property
    @abstractmethod
    def _holds_schemas(self) -> bool:
        """A text can be held to a JSON Schema."""

    @property
    @abstractmethod
    def _max_top_logprobs(self) -> int:
        """Most alternatives per position."""

    def _prompts(self, requests: Sequence[GenerationRequest]) -> list[Ids]:
        """Return what the model reads for each request.

        Raises:
            ConfigError: a chat template refuses a conversation.
        """
        return [self._prompt(request) for request in requests]

    def _prompt(self, request: GenerationRequest) -> Ids:
        if isinstance(request.prompt, Conversation):
            return next(self._encoder.encode([self._encoder.render(request.prompt)], opened=False))
        return next(self._encoder.encode([request.prompt]))

    def _split(
        self,
        groups: Mapping[str, Sequence[int]],
        requests: Sequence[LikelihoodRequest],
        *,
        max_read: int | None,
        cut_left: bool,
    ) -> Iterator[tuple[int, Split | EngineFailure]]:
        """Yield (index, split) of the requests, all continuations of one context together.

        Args:
            groups: indices of requests by their context.
            requests: what the indices mean.
            max_read: most tokens that the model reads; None for no limit.
            cut_left: a longer context loses its beginning, else it is a failure.
        """
        contexts = self._encoder.encode(list(groups))
        wholes = self._encoder.encode(
            [context + requests[index].continuation for context, indices in groups.items() for index in indices]
        )
        for indices, context in zip(groups.values(), contexts, strict=True):
            splits = split_continuations(
                context,
                [next(wholes) for _ in indices],
                num_bos=len(self._encoder.opening),
                max_read=max_read,
                cut_left=cut_left,
            )
            yield from zip(indices, splits, strict=True)

    def _closed(self) -> EngineError:
        return EngineError(f"the {self._name} is closed; load it again")


def group_by_context(requests: Sequence[LikelihoodRequest]) -> dict[str, list[int]]:
    """Return the indices of the requests by their context, in the order in which contexts come first."""
    groups: dict[str, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(request.context, []).append(index)
    return groups


def empty_prompt() -> EngineFailure:
    """Return the failure of a prompt without a token."""
    message = "the prompt is empty and no token stands before it; give a text, or set bos: always"
    return EngineFailure(kind=FailureKind.BAD_REQUEST, message=message)
