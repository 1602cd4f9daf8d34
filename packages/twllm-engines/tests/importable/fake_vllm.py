"""What vLLM does for the engine, done by transformers one prompt after the other: the outputs have vLLM's shape."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


@dataclass
class Entry:
    """vLLM's `Logprob`."""

    logprob: float
    rank: int
    decoded_token: str


@dataclass
class Sample:
    """vLLM's `CompletionOutput`."""

    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str = "length"
    stop_reason: str | None = None
    logprobs: list[dict[int, Entry]] | None = None


@dataclass
class Output:
    """vLLM's `RequestOutput`."""

    prompt_token_ids: list[int]
    outputs: list[Sample]
    prompt_logprobs: list[dict[int, Entry] | None] | None
    num_cached_tokens: int = 0


class FakeVllm:
    """A `VllmBackend` over a folder."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.max_model_len = int(self._model.config.max_position_embeddings)
        self.dtype = "float32"
        self.num_prompts = 0
        self.schemas: list[Any] = []
        self.is_closed = False
        self.loaded: list[str] = []

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True

    def generate(self, prompts: Sequence[Sequence[int]], options: Sequence[dict[str, Any]]) -> list[Any]:
        """Answer prompt by prompt."""
        self.num_prompts += len(prompts)
        return [self._answer(list(prompt), how) for prompt, how in zip(prompts, options, strict=True)]

    def _answer(self, prompt: list[int], how: dict[str, Any]) -> Output:
        assert len(prompt) < self.max_model_len
        self.schemas.append(how.get("json_schema"))
        entries = None
        if how.get("prompt_logprobs") is not None:
            table = self._logprobs(prompt)
            own = [self._entries(table[at], [token]) for at, token in enumerate(prompt[1:])]
            entries = [None, *own]
        samples = [self._write(prompt, how, index) for index in range(how.get("n", 1))]
        return Output(prompt_token_ids=prompt, outputs=samples, prompt_logprobs=entries)

    def _write(self, prompt: list[int], how: dict[str, Any], index: int) -> Sample:
        random = np.random.default_rng([how.get("seed") or 0, index])
        sample = Sample(index=index, logprobs=[] if how.get("logprobs") is not None else None)
        room = min(how["max_tokens"], self.max_model_len - len(prompt))
        while len(sample.token_ids) < room and sample.finish_reason == "length":
            row = self._logprobs([*prompt, *sample.token_ids])[-1]
            temperature = how.get("temperature", 0)
            p = (row / temperature).softmax(-1).double().numpy() if temperature else None
            token = int(row.argmax()) if p is None else int(random.choice(len(row), p=p / p.sum()))
            sample.token_ids.append(token)
            if sample.logprobs is not None:
                wanted = how.get("logprob_token_ids") or [token, *row.topk(how["logprobs"]).indices.tolist()]
                sample.logprobs.append(self._entries(row, wanted))
            self._finish(sample, how)
        return sample

    def _finish(self, sample: Sample, how: dict[str, Any]) -> None:
        sample.text = self.tokenizer.decode(sample.token_ids, skip_special_tokens=True)
        if sample.token_ids[-1] == self.tokenizer.eos_token_id:
            sample.finish_reason = "stop"
        found = [(at, stop) for stop in how.get("stop", ()) if (at := sample.text.find(stop)) >= 0]
        if found:
            at, sample.stop_reason = min(found)
            sample.text, sample.finish_reason = sample.text[:at], "stop"

    @torch.inference_mode()
    def _logprobs(self, tokens: list[int]) -> torch.Tensor:
        return self._model(torch.tensor([tokens])).logits[0].log_softmax(-1)

    def _entries(self, row: torch.Tensor, tokens: Sequence[int]) -> dict[int, Entry]:
        return {
            token: Entry(float(row[token]), 1 + int((row > row[token]).sum()), self.tokenizer.decode([token]))
            for token in tokens
        }
