"""Embeddings of an OpenAI-compatible server, `POST {base_url}/embeddings` (extra `openai`)."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, cast

import numpy as np

from icda._features import Embeddings
from twllm_types import ConfigError, EngineError, MissingDependencyError

if TYPE_CHECKING:
    import httpx

# What a later attempt may answer: slow, busy or broken servers (RFC 9110, 15.5.9, 15.6; RFC 6585, 4).
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_SHOWN_CHARS = 200
# A shorter key would be found in texts that have nothing to do with it.
_LEAST_KEY_CHARS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """How a server is asked.

    Attributes:
        batch_size: texts per request, at least 1.
        timeout_seconds: for connecting and for silence while an answer is read, above 0.
        max_attempts: of one request, at least 1.
        first_wait_seconds: before the second attempt; doubles with each, at least 0.
        max_wait_seconds: longest wait, also where the server asks for more (Retry-After).
        api_key_env: name of the environment variable with the key; None where the server asks for none.
        trust_env: take proxies and certificates from the environment.
        revision: what tells this model from others of its name, part of the key of its embeddings; None where the name
            is enough.

    Raises:
        ConfigError: a value is out of its range.
    """

    batch_size: int = 64
    timeout_seconds: float = 30.0
    max_attempts: int = 5
    first_wait_seconds: float = 1.0
    max_wait_seconds: float = 30.0
    api_key_env: str | None = None
    trust_env: bool = False
    revision: str | None = None

    def __post_init__(self) -> None:
        for name, count in (("batch_size", self.batch_size), ("max_attempts", self.max_attempts)):
            if count < 1:
                raise ConfigError(f"{name} is {count}; give at least 1")
        if not self.timeout_seconds > 0:
            raise ConfigError(f"timeout_seconds is {self.timeout_seconds}; give a number above 0")
        if not 0 <= self.first_wait_seconds <= self.max_wait_seconds:
            raise ConfigError(
                f"first_wait_seconds is {self.first_wait_seconds}, max_wait_seconds {self.max_wait_seconds}; "
                "give 0 <= first <= max"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a server answered with status 200."""

    content: object


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """Why an attempt gave nothing, and the header Retry-After where the server sent one."""

    reason: str
    retry_after: str | None = None


class EndpointEmbeddings:
    """Embeddings that a server gives for texts, as they come; float32.

    Use it behind `CachedFeatures`: a server need not give the same bits twice.

    Args:
        base_url: up to and with `/v1`.
        model: its name at the server.
        settings: how the server is asked.
        environment: where the key is looked up; None for that of the process.
        wait: called with the seconds to wait between attempts.

    Raises:
        ConfigError: the address cannot be used, the model is blank, or the variable of the key is not set.
        MissingDependencyError: the extra `openai` is not installed.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        settings: EndpointSettings | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings if settings is not None else EndpointSettings()
        self._httpx = _import_httpx()
        if not base_url.startswith(("http://", "https://")) or "@" in base_url or not model.strip():
            raise ConfigError(
                "embeddings need a base URL (http:// or https://, without user and password) and a model; give both"
            )
        self._model, self._base_url = model, base_url.rstrip("/")
        self._secret = _read_key(self._settings.api_key_env, os.environ if environment is None else environment)
        self._wait = wait
        revision = f"@{self._settings.revision}" if self._settings.revision is not None else ""
        self._key = f"endpoint-{self._base_url}-{model}{revision}"

    @property
    def key(self) -> str:
        """What makes the embeddings: address, model and, where one was given, revision."""
        return self._key

    def fit(self, texts: Sequence[str]) -> "EndpointEmbeddings":
        """Return these embeddings; a server does not show which tokens its model knows."""
        del texts
        return self

    def transform(self, texts: Sequence[str]) -> Embeddings:
        """Ask for the embeddings of texts, shape (N, D); no text gives shape (0, 0) and no request.

        Raises:
            EngineError: the server refuses, answers what is no embedding per text, or fails at every attempt.
        """
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        headers = {"authorization": f"Bearer {self._secret}"} if self._secret is not None else {}
        parts: list[Embeddings] = []
        size = self._settings.batch_size
        with self._httpx.Client(
            headers=headers, timeout=self._settings.timeout_seconds, trust_env=self._settings.trust_env
        ) as client:
            parts.extend(self._ask(client, list(texts[start : start + size])) for start in range(0, len(texts), size))
        widths = {part.shape[1] for part in parts}
        if len(widths) > 1:
            raise self._error(f"gave embeddings of {' and '.join(map(str, sorted(widths)))} numbers")
        return np.concatenate(parts)

    def _ask(self, client: "httpx.Client", texts: list[str]) -> Embeddings:
        attempt = 1
        outcome = self._attempt(client, texts)
        while isinstance(outcome, _Failure) and attempt < self._settings.max_attempts:
            self._wait(self._seconds_after(attempt, outcome.retry_after))
            outcome = self._attempt(client, texts)
            attempt += 1
        if isinstance(outcome, _Failure):
            raise self._error(f"failed {attempt} times, at last: {outcome.reason}")
        return self._read(outcome.content, len(texts))

    def _attempt(self, client: "httpx.Client", texts: list[str]) -> "_Answer | _Failure":
        """Send one request; a failure is one after which another attempt may help."""
        try:
            body = {"model": self._model, "input": texts, "encoding_format": "float"}
            response = client.post(f"{self._base_url}/embeddings", json=body)
        except self._httpx.TimeoutException:
            return _Failure(reason=f"no answer within {self._settings.timeout_seconds:g} s")
        except self._httpx.TransportError as error:
            return _Failure(reason=f"no connection ({type(error).__name__})")
        if response.status_code in _RETRIED:
            return _Failure(reason=f"status {response.status_code}", retry_after=response.headers.get("retry-after"))
        if response.status_code != 200:
            raise self._error(f"refused with status {response.status_code}: {self._shown(response.text)}")
        try:
            return _Answer(content=response.json())
        except ValueError as error:
            raise self._error(f"answered what is not JSON: {self._shown(response.text)}") from error

    def _seconds_after(self, attempt: int, retry_after: str | None) -> float:
        asked = float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0
        backoff = self._settings.first_wait_seconds * 2 ** (attempt - 1)
        return min(self._settings.max_wait_seconds, max(asked, backoff))

    def _read(self, reply: object, num_texts: int) -> Embeddings:
        rows = _field(reply, "data")
        if not isinstance(rows, list):
            raise self._error("answered without 'data'")
        entries = cast("list[object]", rows)
        found: dict[int, list[float]] = {}
        for entry in entries:
            index, numbers = _field(entry, "index"), _field(entry, "embedding")
            if not isinstance(index, int) or not isinstance(numbers, list):
                raise self._error("answered an entry without 'index' and 'embedding'")
            found[index] = self._numbers(cast("list[object]", numbers))
        if sorted(found) != list(range(num_texts)) or len(entries) != num_texts:
            raise self._error(f"answered {len(entries)} embeddings for {num_texts} texts")
        if len({len(numbers) for numbers in found.values()}) > 1:
            raise self._error("gave embeddings of different lengths")
        return np.asarray([found[index] for index in range(num_texts)], dtype=np.float32)

    def _numbers(self, values: list[object]) -> list[float]:
        numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(numbers) != len(values) or not numbers or not all(math.isfinite(number) for number in numbers):
            raise self._error("gave an embedding that is empty or holds what is no finite number")
        return numbers

    def _shown(self, text: str) -> str:
        """Return the beginning of an answer on one line; nothing of one that gives the key back."""
        if self._secret is not None and len(self._secret) >= _LEAST_KEY_CHARS and self._secret in text:
            return "(left out, it holds the key)"
        return " ".join(text.split())[:_SHOWN_CHARS]

    def _error(self, what: str) -> EngineError:
        return EngineError(f"{self._base_url}, model {self._model!r}: the server {what}; check address, model and key")


def _import_httpx() -> ModuleType:
    try:
        import httpx
    except ImportError as error:
        raise MissingDependencyError(
            "embeddings of a server need httpx; install the extra: pip install 'icda[openai]'"
        ) from error
    return httpx


def _field(value: object, name: str) -> object:
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None


def _read_key(name: str | None, environment: Mapping[str, str]) -> str | None:
    if name is None:
        return None
    key = environment.get(name, "").strip()
    if not key:
        raise ConfigError(f"the environment variable {name} is not set; set it to the server's key")
    return key
