"""Writing text in batches.

Prompts are padded at the left, so that all rows write at the same place; padding is masked and takes no position.
Shapes: B rows, S tokens of the longest prompt, V vocabulary.
"""

# torch and transformers are partly untyped
# pyright: standard

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from twllm_engines._transformers._encoding import TextEncoder
from twllm_engines._transformers._forward import Predictor
from twllm_engines._transformers._sampling import choose, sampler
from twllm_engines._transformers._score import is_out_of_memory, no_memory, not_a_number
from twllm_engines._transformers._splits import Ids
from twllm_engines._transformers._stops import find_stop, num_kept_tokens, tail_length
from twllm_types import Completion, EngineFailure, FinishReason, SamplingParams, TokenLogprob, Usage

# Enough of the prompt's end for a tokenizer that writes a text's first token differently.
_TAIL_TOKENS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request, ready to run.

    Attributes:
        index: of the request.
        prompt: ids, at least one.
        params: how to decode.
        max_new: most tokens to write, >= 1; what the context leaves, at most `params.max_tokens`.
        number: of the request since the engine was loaded, for its random numbers.
    """

    index: int
    prompt: Ids
    params: SamplingParams
    max_new: int
    number: int


@dataclass(slots=True, kw_only=True)
class _Sample:
    """One text being written; `is_broken` once the model gave it no probabilities."""

    task: Task
    random: np.random.Generator
    ids: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    num_written: int = 0
    finish: FinishReason | None = None
    is_broken: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A model that writes.

    Attributes:
        predictor: the model.
        encoder: its tokenizer.
        end_ids: tokens that end a text.
        model_name: put into completions.
        max_read: most prompt tokens read at once, padding among them.
        max_held: most tokens kept at once, what is written among them.
        seed: of requests that name none.
    """

    predictor: Predictor
    encoder: TextEncoder
    end_ids: frozenset[int]
    model_name: str
    max_read: int
    max_held: int
    seed: int

    def write(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        """Yield (index, answer) as batches end, the longest prompts first."""
        for batch in self._pack(tasks):
            yield from self._write(batch)

    def _pack(self, tasks: Sequence[Task]) -> Iterator[list[Task]]:
        batch: list[Task] = []
        for task in sorted(tasks, key=lambda task: (-len(task.prompt), task.index)):
            longest = len((batch or [task])[0].prompt)
            read = (len(batch) + 1) * longest
            num_rows = sum(other.params.num_samples for other in (*batch, task))
            held = num_rows * (longest + max(other.max_new for other in (*batch, task)))
            if batch and (not self.predictor.pads or read > self.max_read or held > self.max_held):
                yield batch
                batch = []
            batch.append(task)
        if batch:
            yield batch

    def _write(self, batch: list[Task]) -> Iterator[tuple[int, Completion | EngineFailure]]:
        try:
            answers = self._run(batch)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            answers = None
        if answers is not None:
            yield from answers
        elif len(batch) == 1:
            yield batch[0].index, no_memory(len(batch[0].prompt) + batch[0].max_new)
        else:
            half = len(batch) // 2
            yield from self._write(batch[:half])
            yield from self._write(batch[half:])

    @torch.inference_mode()
    def _run(self, batch: list[Task]) -> list[tuple[int, Completion | EngineFailure]]:
        samples = [self._samples(task) for task in batch]
        if self.predictor.pads:
            self._decode([task.prompt for task in batch], samples)
        else:
            # other kinds of cache differ from model to model
            for task, own in zip(batch, samples, strict=True):
                for sample in own:
                    self._decode_without_cache(task.prompt, sample)
        return [(task.index, self._answer(task, own)) for task, own in zip(batch, samples, strict=True)]

    def _samples(self, task: Task) -> list[_Sample]:
        return [
            _Sample(
                task=task,
                random=sampler(task.params, sample=sample, engine_seed=self.seed, request_number=task.number),
            )
            for sample in range(task.params.num_samples)
        ]

    def _decode(self, prompts: Sequence[Ids], samples: Sequence[list[_Sample]]) -> None:
        """Write all samples to their ends; those of one prompt read it once."""
        tokens_BS, mask_BS = self._pad(prompts)
        cache = DynamicCache(config=self.predictor.config)
        logits_BV = self.predictor.step(tokens_BS, mask_BS, cache)
        rows = [sample for own in samples for sample in own]
        places = [place for place, own in enumerate(samples) for _ in own]
        logits_BV = logits_BV[torch.tensor(places, device=logits_BV.device)]
        while True:
            tokens = self._advance(rows, logits_BV)
            alive = [row for row, sample in enumerate(rows) if not _has_ended(sample)]
            if not alive:
                return
            # rows that have ended leave the batch; in the first round `places` repeats a prompt for each of its samples
            places = [places[row] for row in alive]
            if places != list(range(len(mask_BS))):
                chosen = torch.tensor(places, device=mask_BS.device)
                cache.batch_select_indices(chosen)
                mask_BS = mask_BS[chosen]
            rows, places = [rows[row] for row in alive], list(range(len(alive)))
            tokens_B1 = torch.tensor([[tokens[row]] for row in alive], device=mask_BS.device)
            mask_BS = torch.cat([mask_BS, mask_BS.new_ones((len(alive), 1))], dim=1)
            logits_BV = self.predictor.step(tokens_B1, mask_BS, cache)

    def _decode_without_cache(self, prompt: Ids, sample: _Sample) -> None:
        """Write one sample, reading everything again for each token: right for every model, and slow."""
        while not _has_ended(sample):
            whole = np.concatenate([prompt, np.array(sample.ids, dtype=np.int32)])
            self._advance([sample], self.predictor.predict([whole], [(0, len(whole) - 1)]))

    def _advance(self, rows: Sequence[_Sample], logits_BV: Tensor) -> list[int | None]:
        """Give every row its next token; return them, None for a row that has no probabilities.

        One such row breaks all samples of its request.
        """
        tokens = choose(logits_BV, [row.task.params for row in rows], [row.random.random() for row in rows])
        broken = {sample.task.index for sample, token in zip(rows, tokens, strict=True) if token is None}
        for row, (sample, token) in enumerate(zip(rows, tokens, strict=True)):
            if token is None or sample.task.index in broken:
                sample.is_broken = True
            else:
                self._accept(sample, token, logits_BV[row])
        return tokens

    def _accept(self, sample: _Sample, token: int, logits_V: Tensor) -> None:
        params = sample.task.params
        sample.num_written += 1
        if token in self.end_ids:
            sample.finish = FinishReason.STOP
        else:
            sample.ids.append(token)
            if params.top_logprobs is not None:
                sample.logprobs.append(self._token_logprob(token, logits_V, params.top_logprobs))
            if self._stopped(sample):
                sample.finish = FinishReason.STOP
            elif sample.num_written >= sample.task.max_new:
                sample.finish = FinishReason.LENGTH
        if sample.finish is not None:
            self._close(sample)

    def _stopped(self, sample: _Sample) -> bool:
        """A stop string is complete; the whole text is looked at only where its end may hold one."""
        stops = sample.task.params.stop
        if not stops or find_stop(self.encoder.decode(sample.ids[-tail_length(stops) :]), stops) is None:
            return False
        return find_stop(self._text(sample, sample.ids), stops) is not None

    def _close(self, sample: _Sample) -> None:
        sample.text = self._text(sample, sample.ids)
        end = find_stop(sample.text, sample.task.params.stop)
        if end is not None:
            sample.text = sample.text[:end]
            kept = num_kept_tokens(sample.ids, lambda ids: self._text(sample, ids), end)
            del sample.logprobs[kept:]

    def _text(self, sample: _Sample, ids: Sequence[int]) -> str:
        """Return what `ids` add to the prompt: some tokenizers write the first token of a text differently."""
        tail = sample.task.prompt[-_TAIL_TOKENS:].tolist()
        before, whole = self.encoder.decode(tail), self.encoder.decode([*tail, *ids])
        return whole[len(before) :] if whole.startswith(before) else self.encoder.decode(ids)

    def _token_logprob(self, token: int, logits_V: Tensor, num_top: int) -> TokenLogprob:
        logprobs_V = logits_V.log_softmax(-1)
        top: dict[str, float] = {}
        if num_top:
            values, ids = logprobs_V.topk(min(num_top, len(logprobs_V)))
            for value, other in zip(values.tolist(), ids.tolist(), strict=True):
                # bytes of a cut character look alike as text; the likeliest speaks for all of them
                top.setdefault(self.encoder.decode([other], keep_special=True), min(value, 0.0))
        own = min(float(logprobs_V[token]), 0.0)
        return TokenLogprob(token=self.encoder.decode([token], keep_special=True), logprob=own, top=top)

    def _answer(self, task: Task, samples: Sequence[_Sample]) -> Completion | EngineFailure:
        if any(sample.is_broken for sample in samples):
            return not_a_number()
        asked = task.params.top_logprobs is not None
        return Completion(
            texts=tuple(sample.text for sample in samples),
            finish_reasons=tuple(sample.finish or FinishReason.LENGTH for sample in samples),
            logprobs=tuple(tuple(sample.logprobs) for sample in samples) if asked else None,
            usage=Usage(
                num_prompt_tokens=len(task.prompt),
                num_completion_tokens=sum(sample.num_written for sample in samples),
            ),
            model=self.model_name,
        )

    def _pad(self, prompts: Sequence[Ids]) -> tuple[Tensor, Tensor]:
        longest = max(len(prompt) for prompt in prompts)
        tokens_BS = np.zeros((len(prompts), longest), dtype=np.int64)
        mask_BS = np.zeros((len(prompts), longest), dtype=np.int64)
        for row, prompt in enumerate(prompts):
            tokens_BS[row, longest - len(prompt) :] = prompt
            mask_BS[row, longest - len(prompt) :] = 1
        device = self.predictor.device
        return torch.from_numpy(tokens_BS).to(device), torch.from_numpy(mask_BS).to(device)


def _has_ended(sample: _Sample) -> bool:
    return sample.is_broken or sample.finish is not None
