"""The synchronous face of the OpenAI-compatible engine."""

import asyncio
import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from twllm_engines._base import EngineBase
from twllm_engines._canonical import generation_to_json, request_key
from twllm_engines._engine import EngineCapabilities
from twllm_engines._ledger import LedgerBook, Prices, UsageLedger
from twllm_engines._openai._answers import EchoAnswer
from twllm_engines._openai._cache import AnswerCache
from twllm_engines._openai._client import Client, Outcome
from twllm_engines._openai._clock import Clock, SystemClock
from twllm_engines._openai._requests import Job, echo_job, generation_job
from twllm_engines._openai._secrets import SentSecrets
from twllm_engines._openai._transport import Transport
from twllm_engines._settings import settings_to_json
from twllm_engines._settings_openai import OpenAISettings, Redact, SchemaStyle
from twllm_types import (
    Completion,
    ConfigError,
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

_T = TypeVar("_T")


class OpenAIEngine(EngineBase):
    """A server with the chat-completions interface.

    Requests run in an event loop of the engine's own, in one thread that starts with the first request. Nothing is sent
    before a stream's first answer is asked for; a stream that its reader leaves is stopped, its open requests are given
    up. Likelihoods and log-probabilities of a text come by echo; an empty text has none. Close the engine, or use it as
    a context manager.

    Args:
        settings: of the engine.
        redact: applied to every prompt and message before it is sent, and before the cache sees it.
        environment: where keys are looked up; None for the process's.
        clock: what time it is; None for the machine's.

    Raises:
        ConfigError: a key is not set, would travel unencrypted, or a certificate, the proxy or the cache cannot be
            used.
    """

    def __init__(
        self,
        settings: OpenAISettings,
        *,
        redact: Redact | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        variables = os.environ if environment is None else environment
        headers, secrets = _headers(settings, variables)
        sends: JsonObject = {"sends_key": settings.api_key_header in headers, "redacts": redact is not None}
        spec = f"openai:{settings.model}@{settings.base_url}"
        super().__init__(name="openai", identity=ModelIdentity(spec=spec), settings=settings_to_json(settings) | sends)
        self._settings = settings
        self._redact = redact
        prices = Prices(
            prompt=settings.prompt_price,
            completion=settings.completion_price,
            cached_prompt=settings.cached_prompt_price,
        )
        self._ledger = LedgerBook(prices, settings.currency)
        self._reported: str | None = None
        clock_ = SystemClock() if clock is None else clock
        transport = Transport(settings, headers, variables)

        async def connect() -> Client:
            cache = None if settings.cache is None else AnswerCache(settings.cache)
            return Client(settings, transport, cache, self._ledger, SentSecrets(secrets), clock_)

        if settings.cache is not None:
            # Opened here once, so that a cache that cannot be used is known before the first request.
            AnswerCache(settings.cache).close()
        self._loop = _LoopThread(connect)

    @property
    def identity(self) -> ModelIdentity:
        """The spec, and the id that the server named first; None before its first answer."""
        return replace(self._identity, reported_id=self._reported)

    @property
    def capabilities(self) -> EngineCapabilities:
        """What the settings say that the server can do; `twllm-engines probe` finds out."""
        can_echo = self._settings.likelihood == "echo"
        return EngineCapabilities(
            likelihood=can_echo,
            sequence_logprobs=can_echo,
            chat=True,
            raw_prompts=self._settings.raw_prompts,
            json_schema=self._settings.schema_style is not SchemaStyle.NONE,
            max_top_logprobs=self._settings.max_top_logprobs,
        )

    def ledger(self) -> UsageLedger:
        """Return what requests took so far."""
        return self._ledger.snapshot()

    def _stream(self, requests: Sequence[GenerationRequest]) -> Generator[tuple[int, Completion | EngineFailure]]:
        # Equal requests for random samples want different answers, also from the cache.
        seen: Counter[str] = Counter()
        jobs: list[Job] = []
        for index, request in enumerate(requests):
            repeat = 0
            if request.params.temperature > 0 and request.params.seed is None:
                key = request_key(generation_to_json(request))
                repeat = seen[key]
                seen[key] += 1
            jobs.append(generation_job(index, request, self._settings, self._redact, repeat=repeat))
        return self._completions(jobs)

    def _loglikelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | EngineFailure]:
        self._check_echo()
        jobs = [
            echo_job(index, request.context, request.continuation, self._settings, self._redact)
            for index, request in enumerate(requests)
        ]
        return self._in_order(jobs, _likelihood)

    def _sequence_logprobs(self, texts: Sequence[str]) -> list[SequenceLogprobs | EngineFailure]:
        self._check_echo()
        jobs = [echo_job(at, "", text, self._settings, self._redact) for at, text in enumerate(texts) if text]
        scored = iter(self._in_order(jobs, _sequence))
        return [next(scored) if text else SequenceLogprobs(tokens=(), logprobs=()) for text in texts]

    def close(self) -> None:
        """Stop what runs and close connections and cache; a second call does nothing."""
        self._loop.close()

    def _check_echo(self) -> None:
        if self._settings.likelihood != "echo":
            raise ConfigError(
                "openai: likelihood is off; set likelihood: echo where the server echoes log-probabilities"
            )

    def _completions(self, jobs: list[Job]) -> Generator[tuple[int, Completion | EngineFailure]]:
        for index, outcome in self._outcomes(jobs):
            if isinstance(outcome, EchoAnswer):
                raise TypeError("an echo answered a request for text; this is a bug")
            yield index, outcome

    def _in_order(self, jobs: list[Job], read: Callable[[EchoAnswer], _T | EngineFailure]) -> list[_T | EngineFailure]:
        outcomes = dict(self._outcomes(jobs))
        results: list[_T | EngineFailure] = []
        for job in jobs:
            outcome = outcomes[job.index]
            if isinstance(outcome, Completion):
                raise TypeError("a completion answered an echo; this is a bug")
            results.append(outcome if isinstance(outcome, EngineFailure) else read(outcome))
        return results

    def _outcomes(self, jobs: list[Job]) -> Generator[tuple[int, Outcome]]:
        if not jobs:
            return
        results: queue.SimpleQueue[tuple[tuple[int, Outcome], asyncio.Future[None]] | None] = queue.SimpleQueue()

        def give(item: tuple[int, Outcome]) -> asyncio.Future[None]:
            taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            results.put((item, taken))
            return taken

        future = self._loop.start(lambda client: client.run(jobs, give))
        # None wakes the reader when all is done, and when the loop failed.
        future.add_done_callback(lambda _: results.put(None))
        try:
            while (found := results.get()) is not None:
                item, taken = found
                if not isinstance(item[1], EngineFailure):
                    self._reported = self._reported or item[1].model
                yield item
                # The reader asks for more, so it has done with this one.
                self._loop.resolve(taken)
            if future.cancelled():
                raise EngineError("openai: the engine was closed while it answered; keep it open until the end")
            future.result()
        finally:
            _stop(future)


class _LoopThread:
    """A thread with an event loop, in which one client lives; it starts with the first job."""

    def __init__(self, connect: Callable[[], Coroutine[Any, Any, Client]]) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: Client | None = None
        self._is_closed = False
        self._running: set[Future[None]] = set()

    def start(self, make: Callable[[Client], Coroutine[Any, Any, None]]) -> Future[None]:
        """Start what `make` makes of the client.

        Raises:
            EngineError: the engine is closed.
        """
        with self._lock:
            if self._is_closed:
                raise EngineError("openai: the engine is closed; load it again")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # A daemon: an engine that nobody closed must not keep the process.
                self._thread = threading.Thread(target=self._loop.run_forever, name="twllm-engines", daemon=True)
                self._thread.start()
                self._client = asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result()
            if self._client is None:
                raise EngineError("openai: the engine could not start before; load it again")
            future = asyncio.run_coroutine_threadsafe(make(self._client), self._loop)
            self._running.add(future)
            future.add_done_callback(self._running.discard)
            return future

    def resolve(self, waiting: asyncio.Future[None]) -> None:
        """Let the task go on that waits for this; nothing where it was stopped before."""
        # the loop is closed when the engine is
        with suppress(RuntimeError):
            waiting.get_loop().call_soon_threadsafe(_finish, waiting)

    def close(self) -> None:
        """Stop everything; a second call does nothing."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            loop, thread, client = self._loop, self._thread, self._client
        for future in tuple(self._running):
            _stop(future)
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_settle(), loop).result()
        if client is not None:
            asyncio.run_coroutine_threadsafe(client.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _finish(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def _settle() -> None:
    """Wait until tasks that were cancelled have ended, and generators are closed."""
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    await asyncio.gather(*tasks, return_exceptions=True)
    await loop.shutdown_asyncgens()


def _stop(future: Future[None]) -> None:
    """Cancel what still runs."""
    with suppress(RuntimeError):
        future.cancel()


def _headers(settings: OpenAISettings, environment: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of every request, and those values of them that come from the environment, without prefix.

    Raises:
        ConfigError: a variable is not set, a value cannot stand in a header, or a key would travel unencrypted.
    """
    secrets = {
        name: _secret(variable, environment, needed_by=f"header {name!r}")
        for name, variable in settings.headers_from_env.items()
    }
    headers = dict(settings.extra_headers) | secrets
    variable = settings.api_key_env
    has_key = variable is not None and (bool(environment.get(variable)) or not settings.is_local)
    if variable is not None and has_key:
        key = _secret(variable, environment, needed_by="the server's key")
        prefix = settings.api_key_prefix
        if prefix is None:
            prefix = "Bearer " if settings.api_key_header.lower() == "authorization" else ""
        secrets[settings.api_key_header] = key
        headers[settings.api_key_header] = prefix + key
    is_plain = settings.address.scheme == "http" and not settings.is_local
    if is_plain and not settings.allow_key_over_http and (has_key or settings.headers_from_env):
        raise ConfigError(
            f"the key would travel unencrypted to {settings.address.hostname}; use https, set api_key_env: null for a "
            "server without a key, or allow_key_over_http: true"
        )
    return headers, secrets


def _secret(variable: str, environment: Mapping[str, str], *, needed_by: str) -> str:
    value = environment.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"the environment variable {variable} ({needed_by}) is not set; set it, or name another one in the spec"
        )
    if not value.isascii() or not value.isprintable():
        raise ConfigError(f"the environment variable {variable} holds characters that no header can; set it again")
    return value


def _likelihood(answer: EchoAnswer) -> Likelihood | EngineFailure:
    scored = answer.tokens[answer.num_context :]
    logprobs = [token.logprob for token in scored if token.logprob is not None]
    if not scored or len(logprobs) < len(scored):
        return EngineFailure(
            kind=FailureKind.MISSING_LOGPROBS,
            message="the continuation's first token has no log-probability; give a context",
        )
    bests = [token.best for token in scored]
    is_greedy = None
    if all(best is not None for best in bests):
        is_greedy = all(best is not None and value >= best for value, best in zip(logprobs, bests, strict=True))
    return Likelihood(logprob=sum(logprobs), num_tokens=len(scored), is_greedy=is_greedy)


def _sequence(answer: EchoAnswer) -> SequenceLogprobs:
    scored = [(token.text, token.logprob) for token in answer.tokens if token.logprob is not None]
    return SequenceLogprobs(tokens=tuple(text for text, _ in scored), logprobs=tuple(value for _, value in scored))
