"""HTTP/1.1 to one server: h11 speaks the protocol, asyncio moves the bytes.

The asynchronous client of httpx takes many times the processor time per request once some thirty connections are open
(benchmarks/twllm_engines/client_overhead.md), and aiohttp's stayed just below the rate that the engine must reach
(design/0004-engines-and-exams.md, with the figures).
Nothing here follows a redirect, reads the environment or logs, so a key in a header or query goes nowhere else.
"""

import asyncio
import base64
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from urllib.parse import SplitResult, unquote, urlsplit

import h11

from twllm_types import ConfigError

_READ_BYTES = 1 << 16
_MAX_BODY_BYTES = 1 << 28
_DEFAULT_PORTS = {"http": 80, "https": 443}

Headers = list[tuple[str, str]]


class BrokenExchangeError(Exception):
    """The peer did not keep to HTTP; inside the engine only.

    Attributes:
        has_begun: a part of the answer had come.
    """

    def __init__(self, message: str, *, has_begun: bool = True) -> None:
        super().__init__(message)
        self.has_begun = has_begun


class SilenceError(Exception):
    """The peer was silent for too long, or did not let us in; inside the engine only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """One answer.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: decoded from its transfer coding.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long to wait, in seconds."""

    connect_seconds: float
    read_seconds: float


class HttpPool:
    """Connections to one server, each used by one request at a time; lives in one event loop.

    Args:
        address: of the server; scheme, host and port count.
        tls: what is trusted, and who we are; used with https only.
        proxy: address of an HTTP proxy; None for a direct connection.
        limits: how long to wait.

    Raises:
        ConfigError: the proxy's address cannot be used; the message does not show it.
    """

    def __init__(self, address: SplitResult, *, tls: ssl.SSLContext, proxy: str | None, limits: Limits) -> None:
        self._host = str(address.hostname)
        self._port = address.port or _DEFAULT_PORTS[address.scheme]
        self._tls = tls if address.scheme == "https" else None
        self._authority = address.netloc
        self._proxy = None if proxy is None else _Proxy.of(proxy)
        self._limits = limits
        self._idle: list[_Connection] = []

    async def post(self, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> HttpAnswer:
        """Send one request and return its answer.

        Args:
            target: path and query.
            headers: besides Host and Content-Length.
            body: of the request.

        Raises:
            SilenceError: the server was silent for longer than the limits.
            BrokenExchangeError: the connection broke, or the answer is not HTTP.
            OSError: no connection could be made.
        """
        if self._proxy is not None and self._tls is None:
            target = f"http://{self._authority}{target}"
            headers = [*headers, *self._proxy.headers]
        whole = [("Host", self._authority), *headers, ("Content-Length", str(len(body)))]
        connection = self._take()
        if connection is not None:
            try:
                return await self._exchange(connection, target, whole, body)
            except BrokenExchangeError as error:
                # The server closed it while it was idle; nothing was answered, so a new one may ask again.
                if error.has_begun:
                    raise
        return await self._exchange(await self._connect(), target, whole, body)

    def close(self) -> None:
        """Close every idle connection."""
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.close()
        return None

    async def _exchange(self, connection: "_Connection", target: str, headers: Headers, body: bytes) -> HttpAnswer:
        # Closed on every way out but a whole answer that keeps the connection, cancellation among them.
        keeps = False
        try:
            answer = await connection.exchange("POST", target, headers, body)
            keeps = connection.start_next()
            return answer
        finally:
            if keeps:
                self._idle.append(connection)
            else:
                connection.close()

    async def _connect(self) -> "_Connection":
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                return await self._open()
        except TimeoutError as error:
            raise SilenceError(f"no connection within {self._limits.connect_seconds:g} s") from error

    async def _open(self) -> "_Connection":
        if self._proxy is None:
            name = None if self._tls is None else self._host
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls, server_hostname=name)
            return _Connection(reader, writer, self._limits.read_seconds)
        reader, writer = await asyncio.open_connection(self._proxy.host, self._proxy.port)
        connection = _Connection(reader, writer, self._limits.read_seconds)
        if self._tls is None:
            return connection
        try:
            tunnel = f"{self._host}:{self._port}"
            answer = await connection.exchange("CONNECT", tunnel, [("Host", tunnel), *self._proxy.headers], b"")
            _check_tunnel(answer)
            await writer.start_tls(self._tls, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise
        return _Connection(reader, writer, self._limits.read_seconds)


def _check_tunnel(answer: HttpAnswer) -> None:
    """Refuse a proxy's answer that opens no way to the server."""
    if not 200 <= answer.status < 300:
        raise BrokenExchangeError(f"the proxy answered {answer.status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proxy:
    """Where the proxy is, and what lets us through."""

    host: str
    port: int
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, url: str) -> "_Proxy":
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or _DEFAULT_PORTS["http"]
        except ValueError:
            host, port, parts = None, 0, urlsplit("")
        if parts.scheme != "http" or not host:
            # The address is not shown: it may hold a password.
            raise ConfigError("proxy is no address of an HTTP proxy; write http://HOST:PORT")
        if parts.username is None:
            return cls(host=host, port=port, headers=())
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        return cls(
            host=host,
            port=port,
            headers=(("Proxy-Authorization", f"Basic {base64.b64encode(login).decode('ascii')}"),),
        )


class _Connection:
    """One connection and the state of its protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, read_seconds: float) -> None:
        self._reader = reader
        self._writer = writer
        self._read_seconds = read_seconds
        self._protocol = h11.Connection(h11.CLIENT)

    @property
    def is_usable(self) -> bool:
        """The peer has not closed it, and sent nothing unasked."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        """Close it at once, without waiting for the peer."""
        self._writer.transport.abort()

    def start_next(self) -> bool:
        """Make it ready for the next request; False where the protocol does not allow one."""
        if self._protocol.our_state is h11.DONE and self._protocol.their_state is h11.DONE:
            self._protocol.start_next_cycle()
            return True
        return False

    async def exchange(self, method: str, target: str, headers: Headers, body: bytes) -> HttpAnswer:
        """Send one request and read its whole answer."""
        protocol = self._protocol
        head: h11.Response | None = None
        parts: list[bytes] = []
        num_bytes = 0
        try:
            request = h11.Request(method=method, target=target, headers=headers)
            content = [protocol.send(request)]
            if body:
                content.append(protocol.send(h11.Data(data=body)))
            content.append(protocol.send(h11.EndOfMessage()))
            self._writer.write(b"".join(part for part in content if part))
            await self._drain()
            while True:
                event = protocol.next_event()
                if event is h11.NEED_DATA:
                    protocol.receive_data(await self._read())
                elif isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    num_bytes += len(event.data)
                    if num_bytes > _MAX_BODY_BYTES:
                        raise BrokenExchangeError(f"the answer is longer than {_MAX_BODY_BYTES >> 20} MiB")
                    parts.append(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                    break
        except (h11.ProtocolError, OSError) as error:
            # ssl's errors are OSErrors, too; they come here only after the handshake.
            message = f"the connection broke ({type(error).__name__})"
            raise BrokenExchangeError(message, has_begun=head is not None) from error
        answer = cast("h11.Response", head)
        fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
        return HttpAnswer(status=answer.status_code, headers=fields, body=b"".join(parts))

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(self._read_seconds):
                return await self._reader.read(_READ_BYTES)
        except TimeoutError as error:
            raise SilenceError(f"the server was silent for {self._read_seconds:g} s") from error

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._read_seconds):
                await self._writer.drain()
        except TimeoutError as error:
            raise SilenceError(f"the server took nothing for {self._read_seconds:g} s") from error
