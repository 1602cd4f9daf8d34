"""The transformers engine: requests in, answers out."""

# torch and transformers are partly untyped
# pyright: standard

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from twllm_engines._settings import TransformersSettings, settings_to_json
from twllm_engines._transformers._encoding import TextEncoder
from twllm_engines._transformers._forward import Predictor
from twllm_engines._transformers._generate import Task, Writer
from twllm_engines._transformers._load import Loaded, load
from twllm_engines._transformers._local import LocalEngine, empty_prompt, group_by_context
from twllm_engines._transformers._plan import Limits
from twllm_engines._transformers._score import score_splits
from twllm_engines._transformers._sequences import score_sequences
from twllm_engines._transformers._splits import Ids, Split, too_long
from twllm_types import (
    Completion,
    EngineFailure,
    GenerationRequest,
    JsonObject,
    Likelihood,
    LikelihoodRequest,
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


class TransformersEngine(LocalEngine):
    """A causal language model that scores and writes in this process.

    Scoring computes what requests begin with in common once: the worked examples of a subject for all of its
    questions, a question for all of its options; options of one token are read from one position. All continuations of
    one context should be given in one call: where tokens merge across the border, they are split at the same token.

    A request that names a seed draws the same random numbers in any company; log-probabilities are the model's own,
    before temperature, `top_k` and `top_p`, and the token that ends a text has none. Answers come as batches end, the
    longest prompts first.

    On a CPU in float32 a log-probability differs from that of the request alone by rounding only (measured below 1e-4),
    whatever stands beside it in the call.

    Attributes:
        num_cut: requests whose beginning was cut off so far (`truncation: left`).
        num_merged: likelihood requests so far whose border lay inside a token.

    Raises:
        ConfigError: the model cannot be loaded so.
    """

    def __init__(self, settings: TransformersSettings) -> None:
        loaded = load(settings)
        encoder = TextEncoder(loaded.tokenizer, settings.bos)
        predictor = Predictor(loaded.model, share=settings.share_prefixes)
        stated = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
        max_len: int | None = settings.max_model_len or stated
        super().__init__(
            name="transformers engine",
            identity=loaded.identity,
            settings=_describe(settings, loaded, predictor, max_len),
            encoder=encoder,
        )
        self._loaded: Loaded | None = loaded
        self._asked = settings
        self._predictor = predictor
        self._vocab_size = predictor.vocab_size
        self._max_len = max_len
        self._limits = _choose_limits(settings, loaded.device, predictor.vocab_size)
        self._num_requests = 0
        self.num_cut = 0
        self.num_merged = 0

    def close(self) -> None:
        """Free the model; a second call does nothing."""
        if self._loaded is None:
            return
        on_gpu = self._loaded.device != "cpu"
        self._loaded = None
        del self._predictor
        if on_gpu:
            torch.cuda.empty_cache()

    @property
    def _holds_schemas(self) -> bool:
        return False

    @property
    def _max_top_logprobs(self) -> int:
        return self._vocab_size

    def _loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        self._need_open()
        groups = group_by_context(requests)
        contexts = list(groups)
        results: dict[int, Likelihood | EngineFailure] = {}
        for start in range(0, len(contexts), _WINDOW):
            window = {context: groups[context] for context in contexts[start : start + _WINDOW]}
            splits: dict[int, Split] = {}
            cut_left = self._asked.truncation == "left"
            for index, split in self._split(window, requests, max_read=self._max_len, cut_left=cut_left):
                if isinstance(split, EngineFailure):
                    results[index] = split
                else:
                    splits[index] = split
                    self.num_cut += split.num_cut > 0
                    self.num_merged += split.merged
            scored = score_splits(self._predictor, list(splits.values()), self._limits)
            results |= zip(splits, scored, strict=True)
        return [results[index] for index in range(len(requests))]

    def _sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
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

    def _stream(self, requests: Sequence[GenerationRequest]) -> Generator[tuple[int, Completion | EngineFailure]]:
        self._need_open()
        # Rendered here, so that a template which refuses a conversation is an error before the first answer.
        return self._write(requests, self._prompts(requests))

    def _write(
        self, requests: Sequence[GenerationRequest], prompts: Sequence[Ids]
    ) -> Generator[tuple[int, Completion | EngineFailure]]:
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

    def _task(self, index: int, prompt: Ids, request: GenerationRequest) -> Task | EngineFailure:
        number, self._num_requests = self._num_requests, self._num_requests + 1
        if not len(prompt):
            return empty_prompt()
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

    def _end_ids(self) -> frozenset[int]:
        loaded = self._need_open()
        stated = getattr(loaded.model.generation_config, "eos_token_id", None)
        found: list[Any] = [*(stated if isinstance(stated, list) else [stated]), loaded.tokenizer.eos_token_id]
        return frozenset(int(token) for token in found if token is not None)

    def _need_open(self) -> Loaded:
        if self._loaded is None:
            raise self._closed()
        return self._loaded


def _describe(settings: TransformersSettings, loaded: Loaded, predictor: Predictor, max_len: int | None) -> JsonObject:
    return settings_to_json(settings) | {
        "device": loaded.device,
        "dtype": loaded.dtype,
        "gguf_file": loaded.gguf_file,
        "max_model_len": max_len,
        "attn_implementation": loaded.model.config._attn_implementation,  # noqa: SLF001
        "shared_prefixes": "on" if predictor.shares else f"off: {predictor.why_not}",
        "merged_borders": "from the last token that context and all continuations share",
    }


def _choose_limits(settings: TransformersSettings, device: str, vocab_size: int) -> Limits:
    on_cpu = device == "cpu"
    num_bytes = _LOGITS_BYTES_CPU if on_cpu else _LOGITS_BYTES_GPU
    read = settings.batch_tokens
    return Limits(
        max_read=read,
        max_held=_HELD_PER_READ * read,
        max_needed=max(1, num_bytes // (_BYTES_PER_LOGIT * vocab_size)),
        enough=_ENOUGH_CPU if on_cpu else _ENOUGH_GPU,
    )
