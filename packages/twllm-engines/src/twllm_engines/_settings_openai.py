"""Settings of the OpenAI-compatible engine."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from twllm_engines._settings import FORBID_UNKNOWN_KEYS, check_model_name, check_number
from twllm_types import ConfigError

Redact: TypeAlias = Callable[[str], str]

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECRET = {"secret": True}


class SchemaStyle(StrEnum):
    """How a JSON Schema reaches the server.

    Members:
        RESPONSE_FORMAT: `response_format` of type `json_schema` (OpenAI, vLLM, llama.cpp, SGLang).
        STRUCTURED_OUTPUTS: `structured_outputs: {json: ...}` (vLLM 0.12 and later).
        GUIDED_JSON: `guided_json` (vLLM before).
        NONE: the server cannot; requests with a schema are refused.
    """

    RESPONSE_FORMAT = "response_format"
    STRUCTURED_OUTPUTS = "structured_outputs"
    GUIDED_JSON = "guided_json"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAISettings:
    """A server with the chat-completions interface (spec `openai:MODEL@URL`; extra `openai`).

    Attributes:
        model: as the server names it.
        base_url: address up to and including `/v1`; http or https, no key, no query.
        reported_model: the id that the server must name in its answers; another is a failure. None accepts the model's
            own name and a dated snapshot of it (`NAME-2024-08-06`, `-20240806`, `-0806` as month and day, `-2408` as
            year and month), where one of the two names may have a path before it that the other lacks; "*" accepts
            every id. Any other suffix (`-mini`, `-Base`, `-latest`) may be another model.
        api_key_env: environment variable of the key; None sends no key. Where it is not set, a server on this machine
            gets no key, and any other is refused.
        api_key_header: header that carries the key.
        api_key_prefix: what stands before the key; None for "Bearer " in `Authorization` and nothing elsewhere.
        allow_key_over_http: let a key travel unencrypted to another machine.
        extra_headers: sent with every request; values are hidden wherever settings are shown.
        headers_from_env: header name to environment variable.
        extra_query: query of every request; values are hidden.
        extra_body: merged into every body, over what the engine sets.
        ca_bundle: PEM file of trusted authorities; None for the system's.
        client_certificate: PEM file of the client's certificate.
        client_key: PEM file of its key; None where the certificate's file holds it.
        proxy: address of an HTTP proxy, http://HOST:PORT, which may hold a user and password; hidden.
        trust_env: take proxies and certificates from the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE).
        connect_timeout_seconds: to connect, > 0.
        read_timeout_seconds: longest silence of the server, > 0.
        attempt_timeout_seconds: one attempt as a whole, > 0.
        deadline_seconds: one request with all attempts and waits, > 0.
        max_in_flight: most requests at once, >= 1.
        requests_per_minute: most attempts in any 60 seconds, >= 1; None for no limit.
        tokens_per_minute: most tokens in any 60 seconds, >= 1, estimated before and corrected after each attempt; None
            for no limit.
        max_attempts: tries per request, >= 1.
        backoff_base_seconds: ceiling of the first wait, doubled for each further one, > 0; the wait is drawn evenly
            below it ("full jitter").
        backoff_max_seconds: highest such ceiling, > 0.
        max_retry_after_seconds: longest `Retry-After` that is waited for, >= 0; a longer one ends the request.
        max_tokens_field: name of the limit in chat requests.
        schema_style: how a JSON Schema reaches the server.
        max_top_logprobs: most alternatives per position that the server gives, >= 0; None where it gives no
            log-probabilities.
        raw_prompts: the server has `/completions` for raw text.
        think_blocks: "split" moves a leading `<think>...</think>` of an answer into `reasoning`; "keep" leaves the
            text as it came.
        likelihood: "echo" scores by `/completions` with `echo` and `logprobs`; "off" where the server cannot.
        echo_max_tokens: tokens that an echo request writes: 0, or 1 for servers that refuse 0.
        cache: SQLite file of answers, made where missing, readable by its owner only; None for no cache.
        cache_max_age_seconds: older answers are asked for again, > 0; None keeps them for ever.
        cache_requests: store requests beside answers; False stores their hashes only.
        prompt_price: per million prompt tokens, >= 0; None where unknown.
        completion_price: per million completion tokens, >= 0.
        cached_prompt_price: per million prompt tokens that the server had cached, >= 0; None for `prompt_price`.
        currency: of the prices.
        seed: of the waits' jitter, >= 0.

    Raises:
        ConfigError: a value is out of its range, or the address cannot be used.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = FORBID_UNKNOWN_KEYS

    model: str
    base_url: str
    reported_model: str | None = None
    api_key_env: str | None = "OPENAI_API_KEY"
    api_key_header: str = "Authorization"
    api_key_prefix: str | None = None
    allow_key_over_http: bool = False
    extra_headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, metadata=_SECRET)
    headers_from_env: Mapping[str, str] = field(default_factory=dict[str, str])
    extra_query: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, metadata=_SECRET)
    # JSON; pydantic, which reads YAML specs, cannot resolve the recursive type of it.
    extra_body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ca_bundle: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: str | None = field(default=None, repr=False, metadata=_SECRET)
    trust_env: bool = False
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 120.0
    attempt_timeout_seconds: float = 600.0
    deadline_seconds: float = 1800.0
    max_in_flight: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_attempts: int = 6
    backoff_base_seconds: float = 1.0
    backoff_max_seconds: float = 60.0
    max_retry_after_seconds: float = 300.0
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    schema_style: SchemaStyle = SchemaStyle.RESPONSE_FORMAT
    max_top_logprobs: int | None = 20
    raw_prompts: bool = True
    think_blocks: Literal["split", "keep"] = "split"
    likelihood: Literal["off", "echo"] = "off"
    echo_max_tokens: Literal[0, 1] = 0
    cache: Path | None = None
    cache_max_age_seconds: float | None = None
    cache_requests: bool = True
    prompt_price: float | None = None
    completion_price: float | None = None
    cached_prompt_price: float | None = None
    currency: str = "USD"
    seed: int = 0

    def __post_init__(self) -> None:
        check_model_name(self.model)
        object.__setattr__(self, "base_url", _checked_url(self.base_url))
        for name in (
            "connect_timeout_seconds",
            "read_timeout_seconds",
            "attempt_timeout_seconds",
            "deadline_seconds",
            "backoff_base_seconds",
            "backoff_max_seconds",
            "cache_max_age_seconds",
        ):
            check_number(name, getattr(self, name), least=0, positive=True)
        for name in ("max_retry_after_seconds", "prompt_price", "completion_price", "cached_prompt_price", "seed"):
            check_number(name, getattr(self, name), least=0)
        for name in ("requests_per_minute", "tokens_per_minute"):
            check_number(name, getattr(self, name), least=1)
        check_number("max_in_flight", self.max_in_flight, least=1)
        check_number("max_attempts", self.max_attempts, least=1)
        check_number("max_top_logprobs", self.max_top_logprobs, least=0)
        if self.client_key is not None and self.client_certificate is None:
            raise ConfigError("client_key is given without client_certificate; give both")
        if self.likelihood == "echo" and not self.raw_prompts:
            raise ConfigError("likelihood 'echo' needs /completions; set raw_prompts: true")
        self._check_prices()
        self._check_headers()

    def _check_prices(self) -> None:
        if (self.prompt_price is None) != (self.completion_price is None):
            raise ConfigError("one of prompt_price and completion_price is missing; give both or neither")
        if self.cached_prompt_price is not None and self.prompt_price is None:
            raise ConfigError("cached_prompt_price is given without prompt_price; give both")

    def _check_headers(self) -> None:
        for name in (self.api_key_header, *self.extra_headers, *self.headers_from_env):
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
                raise ConfigError(f"{name!r} cannot be the name of a header; use letters, digits and hyphens")
        for name, value in self.extra_headers.items():
            # The value is not shown: it may be a key.
            if not value.isascii() or not value.isprintable():
                raise ConfigError(f"the value of header {name!r} has control or non-ASCII characters; remove them")

    @property
    def address(self) -> SplitResult:
        """The base address in its parts."""
        return urlsplit(self.base_url)

    @property
    def is_local(self) -> bool:
        """The server is on this machine."""
        return self.address.hostname in _LOOPBACK


def _checked_url(url: str) -> str:
    """Return the address without a slash at its end.

    Raises:
        ConfigError: it is no http address, or holds a user, a query or a fragment. The message shows the host only:
            the rest may be a key.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
        # Reading the port checks it.
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"base_url is no address ({error}); write https://HOST/v1") from error
    if parts.scheme not in {"http", "https"} or not host or re.search(r"[\s\\]", url):
        raise ConfigError("base_url is no http address; write https://HOST/v1")
    if parts.username is not None or parts.password is not None:
        raise ConfigError(f"base_url of {host} holds a user or password; put the key into an environment variable")
    if parts.query or parts.fragment:
        raise ConfigError(f"base_url of {host} holds a query or fragment; give extra_query instead")
    return url.rstrip("/")
