"""One request with its retries, and many requests at once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from twllm_engines._ledger import LedgerBook
from twllm_engines._openai._answers import (
    Reading,
    UnreadableError,
    error_code,
    is_context_overflow,
    read_answer,
    read_bill,
)
from twllm_engines._openai._cache import AnswerCache
from twllm_engines._openai._clock import Clock
from twllm_engines._openai._pacing import Window, backoff_seconds, parse_retry_after
from twllm_engines._openai._requests import Job
from twllm_engines._openai._secrets import SentSecrets
from twllm_engines._openai._transport import NoReply, Reply, Transport
from twllm_engines._settings_openai import OpenAISettings
from twllm_types import EngineFailure, FailureKind, Usage

Outcome: TypeAlias = Reading | EngineFailure

_LOG = logging.getLogger("twllm_engines")
_RETRIED_STATUSES = frozenset({408, 409, 425, 429})
_FIRST_SERVER_ERROR = 500
_KINDS = {401: FailureKind.AUTHENTICATION, 403: FailureKind.AUTHENTICATION, 408: FailureKind.TIMEOUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """Why one attempt gave nothing.

    Attributes:
        kind: of the failure, if it is the last attempt.
        message: one line.
        is_retried: another attempt may help.
        is_general: every other request would fail alike.
        retry_after: seconds that the server asks to wait; None where it does not.
    """

    kind: FailureKind
    message: str
    is_retried: bool = False
    is_general: bool = False
    retry_after: float | None = None


class Client:
    """Sends jobs within the limits of the settings; lives in one event loop.

    Args:
        settings: of the engine.
        transport: to the server.
        cache: of answers, or None.
        ledger: where tokens are written down.
        secrets: what no answer may hold.
        clock: what time it is.
    """

    def __init__(
        self,
        settings: OpenAISettings,
        transport: Transport,
        cache: AnswerCache | None,
        ledger: LedgerBook,
        secrets: SentSecrets,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._cache = cache
        self._ledger = ledger
        self._secrets = secrets
        self._clock = clock
        # Jitter is no secret.
        self._random = random.Random(settings.seed)  # noqa: S311
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._turn = asyncio.Lock()
        self._requests = None if settings.requests_per_minute is None else Window(settings.requests_per_minute)
        self._tokens = None if settings.tokens_per_minute is None else Window(settings.tokens_per_minute)
        self._paused_until = 0.0
        # Endpoints that have answered, and what refused every request to those that have not.
        self._answered: set[str] = set()
        self._general: dict[str, _Trouble] = {}

    async def run(self, jobs: Sequence[Job], give: Callable[[tuple[int, Outcome]], Awaitable[None]]) -> None:
        """Send all jobs and give each outcome as it comes, with the job's index.

        A worker sends its next job when its last outcome was taken. So what was sent and not yet taken, which a kill
        of the reader loses, is never more than `max_in_flight` jobs.
        """
        waiting = iter(jobs)
        self._general.clear()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._settings.max_in_flight, len(jobs))):
                    group.create_task(self._work(waiting, give))
        except BaseExceptionGroup as group:
            # What stops one worker (a full disk under the cache) stops all; one error says it.
            raise group.exceptions[0] from None

    async def close(self) -> None:
        """Close connections and cache."""
        await self._transport.close()
        if self._cache is not None:
            self._cache.close()

    async def _work(self, waiting: Iterator[Job], give: Callable[[tuple[int, Outcome]], Awaitable[None]]) -> None:
        for job in waiting:
            outcome = self._from_cache(job)
            if outcome is None:
                # The slots are the engine's: streams that run at once share them.
                async with self._slots:
                    outcome = await self._ask(job)
            if isinstance(outcome, EngineFailure):
                self._ledger.add_failure()
            await give((job.index, outcome))

    def _from_cache(self, job: Job) -> Reading | None:
        if self._cache is None or job.key is None:
            return None
        age = self._settings.cache_max_age_seconds
        content = self._cache.find(job.key, not_before=0.0 if age is None else self._clock.wall() - age)
        # An answer that other settings kept and these refuse is asked for again.
        with suppress(UnreadableError):
            if content is not None:
                reading = self._read(content, job)
                self._ledger.add_answer(reading.model or self._settings.model, reading.usage, is_from_cache=True)
                return reading
        return None

    async def _ask(self, job: Job) -> Outcome:
        settings = self._settings
        started: float | None = None
        attempt = 0
        while True:
            general = self._general.get(job.endpoint)
            if general is not None and job.endpoint not in self._answered:
                message = f"{general.message}; not sent, since an earlier request was refused so"
                return EngineFailure(kind=general.kind, message=message, num_attempts=max(1, attempt))
            spent = await self._wait_for_turn(job)
            started = self._clock.monotonic() if started is None else started
            attempt += 1
            self._ledger.add_attempt()
            trouble = await self._attempt(job, spent)
            if not isinstance(trouble, _Trouble):
                return trouble
            if trouble.is_general:
                self._general[job.endpoint] = trouble
            wait = self._wait_after(trouble, attempt)
            left = started + settings.deadline_seconds - self._clock.monotonic()
            if wait is None or attempt >= settings.max_attempts or wait >= left:
                return EngineFailure(kind=trouble.kind, message=trouble.message, num_attempts=attempt)
            _LOG.info("attempt %d: %s; next in %.1f s", attempt, trouble.message, wait)
            await self._clock.sleep(wait)

    def _wait_after(self, trouble: _Trouble, attempt: int) -> float | None:
        """Return the wait before the next attempt; None where there shall be none."""
        if not trouble.is_retried:
            return None
        settings = self._settings
        draw = self._random.random()
        if trouble.retry_after is None:
            return backoff_seconds(
                attempt, draw, base_seconds=settings.backoff_base_seconds, max_seconds=settings.backoff_max_seconds
            )
        if trouble.retry_after > settings.max_retry_after_seconds:
            return None
        # What one request was told holds for all; the jitter keeps them from coming back at one moment.
        self._paused_until = max(self._paused_until, self._clock.monotonic() + trouble.retry_after)
        return trouble.retry_after + draw * settings.backoff_base_seconds

    async def _wait_for_turn(self, job: Job) -> list[float] | None:
        """Return when the limits allow an attempt, with the cell that holds its estimate of tokens."""
        if self._requests is None and self._tokens is None and not self._paused_until:
            return None
        # In turn: a large request must not wait while small ones pass it by.
        async with self._turn:
            while True:
                now = self._clock.monotonic()
                wait = max(
                    self._paused_until - now,
                    0.0 if self._requests is None else self._requests.wait_seconds(1.0, now),
                    0.0 if self._tokens is None else self._tokens.wait_seconds(job.num_tokens_estimate, now),
                )
                if wait <= 0:
                    break
                await self._clock.sleep(wait)
            if self._requests is not None:
                self._requests.spend(1.0, now)
            return None if self._tokens is None else self._tokens.spend(job.num_tokens_estimate, now)

    async def _attempt(self, job: Job, spent: list[float] | None) -> Reading | _Trouble:
        reply = await self._transport.post(job.endpoint, job.content)
        if isinstance(reply, NoReply):
            return _Trouble(kind=reply.kind, message=reply.message, is_retried=reply.is_retried)
        trouble = self._trouble(reply)
        if trouble is not None:
            return trouble
        try:
            reading = self._read(reply.content, job)
        except UnreadableError as error:
            self._book_refused(reply, spent)
            return _Trouble(kind=error.kind, message=str(error), is_retried=error.is_retried)
        self._answered.add(job.endpoint)
        self._correct(spent, reading.usage)
        self._keep(job, reply, reading)
        return reading

    def _correct(self, spent: list[float] | None, usage: Usage | None) -> None:
        """Put the tokens that an attempt took in the place of their estimate."""
        if self._tokens is not None and spent is not None and usage is not None:
            self._tokens.correct(spent, usage.num_prompt_tokens + usage.num_completion_tokens)

    def _book_refused(self, reply: Reply, spent: list[float] | None) -> None:
        """Write down what an answer took that cannot be used: the server counts it all the same."""
        model, usage = read_bill(reply.content)
        self._correct(spent, usage)
        if model is None or self._secrets.found_in(reply.content) is not None:
            model = self._settings.model
        taken = self._ledger.add_answer(model, usage, is_from_cache=False, is_refused=True)
        if self._cache is not None:
            self._cache.add_usage(taken, self._settings.currency)

    def _read(self, content: str, job: Job) -> Reading:
        """Read an answer, unless it holds a key.

        Raises:
            UnreadableError: it does, or is not what was asked for.
        """
        header = self._secrets.found_in(content)
        if header is None:
            reading = read_answer(content, job.question, self._settings)
            header = self._secrets.found_in_tokens(reading)
            if header is None:
                return reading
        raise UnreadableError(
            FailureKind.MALFORMED_RESPONSE,
            f"the server's answer holds the key that was sent in header {header!r}, so it was dropped; "
            "let the server or gateway not repeat headers, and change the key",
        )

    def _keep(self, job: Job, reply: Reply, reading: Reading) -> None:
        settings = self._settings
        usage = self._ledger.add_answer(reading.model or settings.model, reading.usage, is_from_cache=False)
        if self._cache is not None and job.key is not None:
            self._cache.store(
                job.key,
                request=job.content.decode("utf-8") if settings.cache_requests else None,
                response=reply.content,
                now=self._clock.wall(),
                usage=usage,
                currency=settings.currency,
            )

    def _trouble(self, reply: Reply) -> _Trouble | None:
        """Return why a status is a failure; None for a success."""
        status = reply.status
        if 200 <= status < 300:
            return None
        code = None if self._secrets.found_in(reply.content) is not None else error_code(reply.content)
        message = f"the server answered {status}" + (f" ({code})" if code else "")
        if status < 400:
            message += "; redirects are not followed, so set base_url to where the server is"
            return _Trouble(kind=FailureKind.BAD_REQUEST, message=message, is_general=True)
        if status == 429 or status >= _FIRST_SERVER_ERROR or status in _RETRIED_STATUSES:
            kind = FailureKind.RATE_LIMITED if status == 429 else _KINDS.get(status, FailureKind.SERVER_ERROR)
            is_retried = code != "insufficient_quota"
            retry_after = parse_retry_after(reply.retry_after, self._clock.wall())
            return _Trouble(kind=kind, message=message, is_retried=is_retried, retry_after=retry_after)
        if is_context_overflow(reply.content):
            return _Trouble(kind=FailureKind.CONTEXT_LENGTH, message=f"{message}: longer than the model's context")
        kind = _KINDS.get(status, FailureKind.BAD_REQUEST)
        return _Trouble(kind=kind, message=message, is_general=kind is FailureKind.AUTHENTICATION or status == 404)
