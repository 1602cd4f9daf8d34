"""The transformers engine: requests in, answers out."""

# torch and transformers are partly untyped
# pyright: standard

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch

from twllm_engines._engine import EngineCapabilities, check_requests, collect
from twllm_engines._settings import TransformersSettings, settings_to_json
from twllm_engines._transformers._encoding import TextEncoder
from twllm_engines._transformers._forward import Predictor
from twllm_engines._transformers._generate import Task, Writer
from twllm_engines._transformers._load import Loaded, load
from twllm_engines._transformers._plan import Limits
from twllm_engines._transformers._score import score_splits
from twllm_engines._transformers._sequences import score_sequences
from twllm_engines._transformers._splits import Ids, Split, split_continuations, too_long
from twllm_types import (
    Completion,
    Conversation,
    EngineError,
    EngineFailure,
    FailureKind,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
    SequenceLogprobs,
)

# Contexts whose tokens are in memory at once.
_WINDOW = 4096
# Keys and values are smaller than what a layer computes, so more tokens may be attended to than read.
_HELD_PER_READ = 4
_LOGITS_BYTES_CPU, _LOGITS_BYTES_GPU = 128 << 20, 1 << 30
# Tokens from which a processor is busy: measured for a model of 10 million weights; larger ones are busy sooner.
_ENOUGH_CPU, _ENOUGH_GPU = 128, 4096
# Logits in the model's type and in float32, and one intermediate result.
_BYTES_PER_LOGIT = 12


class TransformersEngine:
    """A causal language model that scores and writes in this process.

    Scoring computes what requests begin with in common once: the worked examples of a subject for all of its
    questions, a question for all of its options; options of one token are read from one position. All continuations of
    one context should be given in one call: where tokens merge across the border, they are split at the same token.

    On a CPU in float32 a log-probability differs from that of the request alone by rounding only (measured below 1e-4),
    whatever stands beside it in the call.

    Attributes:
        num_cut: requests whose beginning was cut off so far (`truncation: left`).
        num_merged: likelihood requests so far whose border lay inside a token.

    Raises:
        ConfigError: the model cannot be loaded so.
    """

    def __init__(self, settings: TransformersSettings) -> None:
        self._loaded: Loaded | None = load(settings)
        self._asked = settings
        self._encoder = TextEncoder(self._loaded.tokenizer, settings.bos)
        self._predictor = Predictor(self._loaded.model, share=settings.share_prefixes)
        stated = getattr(self._loaded.model.config.get_text_config(), "max_position_embeddings", None)
        self._max_len: int | None = settings.max_model_len or stated
        self._identity = self._loaded.identity
        self._settings = self._describe(self._loaded)
        self._limits = self._choose_limits(self._loaded.device)
        self._num_requests = 0
        self.num_cut = 0
        self.num_merged = 0

    @property
    def identity(self) -> ModelIdentity:
        """Which model answers."""
        return self._identity

    @property
    def settings(self) -> JsonObject:
        """The settings as they ran: what "auto" and None became, and whether prefixes are shared."""
        return dict(self._settings)

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the engine can do; conversations only with a chat template."""
        return EngineCapabilities(
            likelihood=True,
            sequence_logprobs=True,
            chat=self._encoder.can_render,
            raw_prompts=True,
            json_schema=False,
            max_top_logprobs=self._predictor.vocab_size,
            renders_chat=self._encoder.can_render,
        )

    def loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        """Return log p(continuation | context) of every request, in order."""
        self._need_open()
        groups: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(request.context, []).append(index)
        contexts = list(groups)
        results: dict[int, Likelihood | EngineFailure] = {}
        for start in range(0, len(contexts), _WINDOW):
            window = {context: groups[context] for context in contexts[start : start + _WINDOW]}
            splits: dict[int, Split] = {}
            for index, split in self._split(window, requests):
                if isinstance(split, EngineFailure):
                    results[index] = split
                else:
                    splits[index] = split
            scored = score_splits(self._predictor, list(splits.values()), self._limits)
            results |= zip(splits, scored, strict=True)
        return [results[index] for index in range(len(requests))]

    def sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        """Return the log-probability of every token of every text, with the moments of log p under p, in order."""
        self._need_open()
        results: dict[int, SequenceLogprobs | EngineFailure] = {}
        fitting: dict[int, Ids] = {}
        for index, tokens in enumerate(self._encoder.encode(texts)):
            cut = self._fit(tokens, self._max_len)
            if isinstance(cut, EngineFailure):
                results[index] = cut
            elif len(cut) < 2:
                results[index] = SequenceLogprobs(tokens=(), logprobs=(), expected_logprobs=(), logprob_stds=())
            else:
                fitting[index] = cut
        order = list(fitting)
        for place, stats in score_sequences(self._predictor, list(fitting.values()), self._limits):
            index = order[place]
            if isinstance(stats, EngineFailure):
                results[index] = stats
                continue
            results[index] = SequenceLogprobs(
                tokens=tuple(self._encoder.decode([token], keep_special=True) for token in fitting[index][1:].tolist()),
                logprobs=tuple(stats.logprobs.tolist()),
                expected_logprobs=tuple(stats.means.tolist()),
                logprob_stds=tuple(stats.stds.tolist()),
            )
        return [results[index] for index in range(len(texts))]

    def render_chat(self, conversation: Conversation) -> str:
        """Return the conversation as raw text, up to where the assistant's next turn begins.

        A conversation that ends with the assistant's words stays open there.

        Raises:
            ConfigError: there is no chat template, or it refuses the conversation.
        """
        return self._encoder.render(conversation)

    def generate(self, requests: Sequence[GenerationRequest]) -> list[Completion | EngineFailure]:
        """Return the answers in the order of the requests."""
        return collect(self.stream(requests), len(requests))

    def stream(self, requests: Sequence[GenerationRequest]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        """Yield (index, answer) as batches end, the longest prompts first.

        A request that names a seed draws the same random numbers in any company; log-probabilities are the model's own,
        before temperature, `top_k` and `top_p`, and the token that ends a text has none.

        Raises:
            ConfigError: a request asks for a JSON Schema, or is a conversation and there is no chat template.
        """
        self._need_open()
        check_requests(requests, self.capabilities, name="transformers engine")
        # Rendered here, so that a template which refuses a conversation is an error before the first answer.
        prompts = [self._prompt(request) for request in requests]
        return self._stream(requests, prompts)

    def close(self) -> None:
        """Free the model; a second call does nothing."""
        if self._loaded is None:
            return
        on_gpu = self._loaded.device != "cpu"
        self._loaded = None
        del self._predictor
        if on_gpu:
            torch.cuda.empty_cache()

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    def _stream(
        self, requests: Sequence[GenerationRequest], prompts: Sequence[Ids]
    ) -> Iterator[tuple[int, Completion | EngineFailure]]:
        tasks: list[Task] = []
        for index, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            task = self._task(index, prompt, request)
            if isinstance(task, EngineFailure):
                yield index, task
            else:
                tasks.append(task)
        writer = Writer(
            predictor=self._predictor,
            encoder=self._encoder,
            end_ids=self._end_ids(),
            model_name=Path(self._asked.model).name if Path(self._asked.model).is_dir() else self._asked.model,
            max_read=self._limits.max_read,
            max_held=self._limits.max_held,
            seed=self._asked.seed,
        )
        yield from writer.write(tasks)

    def _prompt(self, request: GenerationRequest) -> Ids:
        if isinstance(request.prompt, Conversation):
            return next(self._encoder.encode([self._encoder.render(request.prompt)], opened=False))
        return next(self._encoder.encode([request.prompt]))

    def _task(self, index: int, prompt: Ids, request: GenerationRequest) -> Task | EngineFailure:
        number, self._num_requests = self._num_requests, self._num_requests + 1
        if not len(prompt):
            return EngineFailure(
                kind=FailureKind.BAD_REQUEST,
                message="the prompt is empty and no token stands before it; give a text, or set bos: always",
            )
        wanted = request.params.max_tokens
        max_new = wanted
        if self._max_len is not None:
            # A prompt is cut so far that the answer has the room that was asked for.
            room = self._max_len - (wanted if self._asked.truncation == "left" and wanted < self._max_len else 1)
            fitted = self._fit(prompt, room)
            if isinstance(fitted, EngineFailure):
                return fitted
            prompt = fitted
            max_new = min(wanted, self._max_len - len(prompt))
        return Task(index=index, prompt=prompt, params=request.params, max_new=max_new, number=number)

    def _fit(self, tokens: Ids, most: int | None) -> Ids | EngineFailure:
        if most is None or len(tokens) <= most:
            return tokens
        opening = len(self._encoder.opening)
        if self._asked.truncation == "refuse" or most <= opening:
            return too_long(len(tokens), most)
        self.num_cut += 1
        return np.concatenate([tokens[:opening], tokens[len(tokens) - (most - opening) :]])

    def _split(
        self, groups: dict[str, list[int]], requests: Sequence[LikelihoodRequest]
    ) -> Iterator[tuple[int, Split | EngineFailure]]:
        contexts = self._encoder.encode(list(groups))
        wholes = self._encoder.encode(
            [context + requests[index].continuation for context, indices in groups.items() for index in indices]
        )
        for indices, context in zip(groups.values(), contexts, strict=True):
            splits = split_continuations(
                context,
                [next(wholes) for _ in indices],
                num_bos=len(self._encoder.opening),
                max_read=self._max_len,
                cut_left=self._asked.truncation == "left",
            )
            for index, split in zip(indices, splits, strict=True):
                if isinstance(split, Split):
                    self.num_cut += split.num_cut > 0
                    self.num_merged += split.merged
                yield index, split

    def _describe(self, loaded: Loaded) -> JsonObject:
        return settings_to_json(self._asked) | {
            "device": loaded.device,
            "dtype": loaded.dtype,
            "gguf_file": loaded.gguf_file,
            "max_model_len": self._max_len,
            "attn_implementation": loaded.model.config._attn_implementation,  # noqa: SLF001
            "opening_tokens": [int(token) for token in self._encoder.opening],
            "shared_prefixes": "on" if self._predictor.shares else f"off: {self._predictor.why_not}",
            "merged_borders": "from the last token that context and all continuations share",
        }

    def _choose_limits(self, device: str) -> Limits:
        on_cpu = device == "cpu"
        num_bytes = _LOGITS_BYTES_CPU if on_cpu else _LOGITS_BYTES_GPU
        read = self._asked.batch_tokens
        return Limits(
            max_read=read,
            max_held=_HELD_PER_READ * read,
            max_needed=max(1, num_bytes // (_BYTES_PER_LOGIT * self._predictor.vocab_size)),
            enough=_ENOUGH_CPU if on_cpu else _ENOUGH_GPU,
        )

    def _end_ids(self) -> frozenset[int]:
        loaded = self._need_open()
        stated = getattr(loaded.model.generation_config, "eos_token_id", None)
        found: list[Any] = [*(stated if isinstance(stated, list) else [stated]), loaded.tokenizer.eos_token_id]
        return frozenset(int(token) for token in found if token is not None)

    def _need_open(self) -> Loaded:
        if self._loaded is None:
            raise EngineError("the transformers engine is closed; load it again")
        return self._loaded
