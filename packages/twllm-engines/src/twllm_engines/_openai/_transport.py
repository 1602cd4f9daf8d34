"""One attempt, and what became of it."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from twllm_engines._openai._http import BrokenExchangeError, HttpPool, Limits, SilenceError
from twllm_engines._settings_openai import OpenAISettings
from twllm_types import ConfigError, FailureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server answered.

    Attributes:
        status: of HTTP.
        content: the body as text.
        retry_after: the header's value; None where absent.
    """

    status: int
    content: str
    retry_after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoReply:
    """Why there was no whole answer.

    Attributes:
        kind: TIMEOUT or CONNECTION.
        message: one line.
        is_retried: another attempt may help.
    """

    kind: FailureKind
    message: str
    is_retried: bool = True


class Transport:
    """Connections to one server; used inside one event loop.

    Args:
        settings: of the engine.
        headers: of every request, the key among them.
        environment: where `trust_env` finds proxies and certificates.

    Raises:
        ConfigError: a certificate or the proxy cannot be used.
    """

    def __init__(self, settings: OpenAISettings, headers: Mapping[str, str], environment: Mapping[str, str]) -> None:
        self._attempt_seconds = settings.attempt_timeout_seconds
        # No Accept-Encoding but this one: answers are short, and unpacking them is a way to fill the memory.
        fixed = {"content-type": "application/json", "accept": "application/json", "accept-encoding": "identity"}
        given = {name.lower(): value for name, value in headers.items()}
        self._headers = list((fixed | given).items())
        self._path = settings.address.path
        self._query = f"?{urlencode(settings.extra_query)}" if settings.extra_query else ""
        self._pool = HttpPool(
            settings.address,
            tls=_tls(settings, environment),
            proxy=settings.proxy or (_proxy_of_environment(settings, environment) if settings.trust_env else None),
            limits=Limits(connect_seconds=settings.connect_timeout_seconds, read_seconds=settings.read_timeout_seconds),
        )

    async def post(self, endpoint: str, content: bytes) -> Reply | NoReply:
        """Send one body and return the answer, whatever its status; redirects are not followed."""
        target = f"{self._path}{endpoint}{self._query}"
        try:
            async with asyncio.timeout(self._attempt_seconds):
                answer = await self._pool.post(target, self._headers, content)
        except TimeoutError:
            return NoReply(kind=FailureKind.TIMEOUT, message=f"no whole answer within {self._attempt_seconds:g} s")
        except SilenceError as error:
            return NoReply(kind=FailureKind.TIMEOUT, message=str(error))
        except ssl.SSLCertVerificationError:
            message = "the server's certificate is not trusted; set ca_bundle"
            return NoReply(kind=FailureKind.CONNECTION, message=message, is_retried=False)
        except (BrokenExchangeError, OSError) as error:
            what = str(error) if isinstance(error, BrokenExchangeError) else f"no connection ({type(error).__name__})"
            return NoReply(kind=FailureKind.CONNECTION, message=what)
        return Reply(
            status=answer.status,
            content=answer.body.decode("utf-8", "replace"),
            retry_after=answer.headers.get("retry-after"),
        )

    async def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def _tls(settings: OpenAISettings, environment: Mapping[str, str]) -> ssl.SSLContext:
    """Return what decides which servers are trusted, and who we are.

    Raises:
        ConfigError: a file is missing or holds no certificate.
    """
    bundle = None if settings.ca_bundle is None else str(settings.ca_bundle)
    if bundle is None and settings.trust_env:
        bundle = environment.get("SSL_CERT_FILE") or None
    try:
        context = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise ConfigError(f"ca_bundle {bundle}: cannot be read ({error}); give a PEM file") from error
    if settings.client_certificate is not None:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
        except OSError as error:
            raise ConfigError(
                f"client_certificate {settings.client_certificate}: cannot be used ({error}); give PEM files that fit"
            ) from error
    return context


def _proxy_of_environment(settings: OpenAISettings, environment: Mapping[str, str]) -> str | None:
    address = settings.address
    lowered = {name.lower(): value for name, value in environment.items() if value}
    host = str(address.hostname)
    for entry in lowered.get("no_proxy", "").split(","):
        name = entry.strip().lower().partition(":")[0].removeprefix(".")
        if name and (name in {"*", host} or host.endswith(f".{name}")):
            return None
    return lowered.get(f"{address.scheme}_proxy") or lowered.get("all_proxy")
