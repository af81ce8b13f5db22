"""HTTP/1.1 requests over kept-alive connections, with as little Python as possible in between.

Why not a client library: with 512 requests in flight, a bare asyncio loop that only writes and
reads counts as 1; the engine on this module reaches 0.8, bare aiohttp 0.26, and bare httpx 0.007
(its pool looks through every connection for every request). `benchmarks/http_engine.py` prints
these ratios. Parsing is llhttp's (`httptools`), so this module holds connections and nothing else;
it knows nothing of models, JSON or retries.

A connection that is cancelled or times out is closed, so a server that watches for it (vLLM does)
stops generating. Redirects are not followed and cookies are not kept.
"""

from __future__ import annotations

import asyncio
import base64
import os
import posixpath
import socket
import ssl
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import httptools

from cascade import __version__

__all__ = ["ConnectFailed", "ConnectionBroken", "HttpPool", "Response"]

CONNECT_SECONDS: Final = 30.0
MAX_RESPONSE_BYTES: Final = 1 << 28
"""A larger answer is refused. 131,072 tokens with their log-probabilities take about 2**24."""


class ConnectFailed(Exception):
    """No connection could be opened; the message says why in the words of the system."""


class ConnectionBroken(Exception):
    """The connection ended, or did not speak HTTP, before the answer was whole."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read to its end."""

    status: int
    raw_headers: list[tuple[bytes, bytes]]
    """As they came, in any letter case."""
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first header of that name, in any letter case."""
        wanted = name.lower().encode()
        return next((v.decode("latin-1") for k, v in self.raw_headers if k.lower() == wanted), None)


class _Connection(asyncio.Protocol):
    """One connection; it carries one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.answer: asyncio.Future[Response] | None = None
        self.usable = False
        self.reused = False
        self.silent = True
        """Whether nothing of the answer has come yet."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._expires = 0.0
        self._in_body = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0

    def request(self, payload: bytes, timeout_seconds: float) -> asyncio.Future[Response]:
        """Send a whole request; the future fails with `ConnectionBroken` or `TimeoutError`."""
        loop = self._loop
        self.answer = answer = loop.create_future()
        self.silent = True
        self._expires = expires = loop.time() + timeout_seconds
        # One timer serves all requests of a connection: it is moved only to an earlier moment, and
        # moves itself on if it goes off too early. Timers come and go more dearly than requests.
        if self._timer is None or self._timer.when() > expires:
            self._set_timer()
        self.transport.write(payload)
        return answer

    def close(self) -> None:
        self.usable = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.transport.abort()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._expires, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self.answer is None:
            return
        if self._loop.time() < self._expires:
            self._set_timer()
        else:
            self._fail(TimeoutError())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.usable = True

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        self._fail(ConnectionBroken(str(error or "the server closed the connection")))

    def eof_received(self) -> None:
        """An answer without a length ends here; llhttp is told, as it cannot see it."""
        if self.answer is not None and self._in_body and not self._parser.should_keep_alive():
            declared = (b"content-length", b"transfer-encoding")
            if not any(name.lower() in declared for name, _ in self._headers):
                self.on_message_complete()

    def data_received(self, data: bytes) -> None:
        self.silent = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionBroken(f"not an HTTP answer: {error}"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > MAX_RESPONSE_BYTES:
            self._fail(ConnectionBroken(f"the answer is larger than {MAX_RESPONSE_BYTES:,} bytes"))
            self.close()
        else:
            self._body.append(data)

    def on_message_complete(self) -> None:
        headers, body = self._headers, self._body
        self._headers, self._body, self._size, self._in_body = [], [], 0, False
        status = self._parser.get_status_code()
        if status < 200:
            return
        answer, self.answer = self.answer, None
        if answer is None:
            self.close()
            return
        if not self._parser.should_keep_alive():
            self.usable = False
        if not answer.done():
            answer.set_result(Response(status, headers, b"".join(body)))

    def _fail(self, error: Exception) -> None:
        answer, self.answer = self.answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)


class _ProxyAnswer(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT; `status` is its first line."""

    def __init__(self) -> None:
        self.status: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head and not self.status.done():
            self.status.set_result(self._head.split(b"\r\n", 1)[0].decode("latin-1"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.status.done():
            self.status.set_exception(OSError("the proxy closed the connection"))


class HttpPool:
    """Connections to one server, for one event loop. It opens as many as are asked of it at a time.

    Args:
        base_url: scheme, host, port and the path that all requests share.
        headers: sent with each request (credentials among them, so they are never printed).
    """

    def __init__(self, base_url: str, headers: dict[str, str]) -> None:
        self._url = urlsplit(base_url)
        self._host = self._url.hostname or ""
        self._tls = _tls_context() if self._url.scheme == "https" else None
        self._port = self._url.port or (443 if self._tls else 80)
        self._proxy = _proxy_of(self._url)
        self._headers = headers
        self._heads: dict[str, bytes] = {}
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    def post(self, path: str, body: bytes, timeout_seconds: float) -> Coroutine[Any, Any, Response]:
        """Send `body` (JSON) and return the answer, whatever its status.

        Raises:
            ConnectFailed: nobody listens there.
            ConnectionBroken: the connection ended before the answer was whole.
            TimeoutError: the answer took longer than `timeout_seconds`.
        """
        payload = b"%b%d\r\n\r\n%b" % (self._head("POST", path), len(body), body)
        return self._exchange(payload, timeout_seconds)

    def get(self, path: str, timeout_seconds: float) -> Coroutine[Any, Any, Response]:
        """Fetch (`/../NAME` lies beside the shared path); raises what `post` does."""
        return self._exchange(self._head("GET", path) + b"0\r\n\r\n", timeout_seconds)

    async def aclose(self) -> None:
        """Close every connection; requests under way fail with `ConnectionBroken`."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._idle.clear()
        # Transports report their end to the loop one turn later, and warn if they cannot.
        await asyncio.sleep(0)

    async def _exchange(
        self, payload: bytes, timeout_seconds: float, *, anew: bool = False
    ) -> Response:
        connection = None if anew else self._idle_connection()
        if connection is None:
            connection = await self._connect(timeout_seconds)
            self._open.add(connection)
        try:
            response = await connection.request(payload, timeout_seconds)
        except BaseException as error:
            self._drop(connection)
            # Servers close idle connections at any moment. One that was closed just as it was
            # used again says nothing about the server, so the request starts over on a new one.
            stale = connection.reused and connection.silent and isinstance(error, ConnectionBroken)
            if not stale:
                raise
        else:
            if connection.usable:
                self._idle.append(connection)
            else:
                self._drop(connection)
            return response
        return await self._exchange(payload, timeout_seconds, anew=True)

    def _idle_connection(self) -> _Connection | None:
        # The one used last is the one least likely to have been closed by the server.
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and not connection.transport.is_closing():
                connection.reused = True
                return connection
            self._drop(connection)
        return None

    def _drop(self, connection: _Connection) -> None:
        self._open.discard(connection)
        connection.close()

    async def _connect(self, timeout_seconds: float) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(min(CONNECT_SECONDS, timeout_seconds)):
                if self._proxy is not None and self._tls is not None:
                    return await self._tunnel(loop, self._proxy)
                host, port = self._host, self._port
                if self._proxy is not None:
                    host, port = self._proxy.hostname or "", self._proxy.port or 80
                transport, connection = await loop.create_connection(
                    _Connection, host, port, ssl=self._tls
                )
        except TimeoutError as error:
            raise ConnectFailed(f"no connection within {CONNECT_SECONDS:g} s") from error
        except (OSError, ssl.SSLError) as error:
            is_plain = type(error).__module__ == "builtins" and error.errno is not None
            reason = os.strerror(error.errno or 0) if is_plain else str(error)
            raise ConnectFailed(reason) from error
        _keep_alive(transport)
        return connection

    async def _tunnel(self, loop: asyncio.AbstractEventLoop, proxy: SplitResult) -> _Connection:
        """Open a TLS connection through a proxy's CONNECT."""
        target = f"{self._host}:{self._port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *_proxy_login(proxy), "", ""]
        plain, waiting = await loop.create_connection(
            _ProxyAnswer, proxy.hostname or "", proxy.port or 80
        )
        connection = _Connection()
        try:
            plain.write("\r\n".join(lines).encode("latin-1"))
            status = await waiting.status
            if status.split(" ")[1:2] != ["200"]:
                raise OSError(f"the proxy {proxy.hostname} answered {status!r}")
            context = self._tls or _tls_context()
            transport = await loop.start_tls(plain, connection, context, server_hostname=self._host)
        except BaseException:
            plain.abort()
            raise
        assert transport is not None
        connection.connection_made(transport)
        _keep_alive(transport)
        return connection

    def _head(self, method: str, path: str) -> bytes:
        """Everything before the value of Content-Length; the same for all requests to a path."""
        head = self._heads.get(f"{method} {path}")
        if head is None:
            target = posixpath.normpath(self._url.path.rstrip("/") + path)
            if self._url.query:
                target += f"?{self._url.query}"
            proxy_lines: list[str] = []
            if self._proxy is not None and self._tls is None:
                target = f"http://{self._url.netloc}{target}"
                proxy_lines = _proxy_login(self._proxy)
            headers = {
                "Host": self._url.netloc,
                "User-Agent": f"cascade-rl/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Content-Type": "application/json",
                **self._headers,
            }
            lines = [f"{method} {target} HTTP/1.1", *proxy_lines]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            head = ("\r\n".join(lines) + "\r\nContent-Length: ").encode("latin-1")
            self._heads[f"{method} {path}"] = head
        return head


def _tls_context() -> ssl.SSLContext:
    """Trust what the system trusts (SSL_CERT_FILE included), and Mozilla's list beside it."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _keep_alive(transport: asyncio.Transport) -> None:
    """Probe a silent connection each minute: an answer can take an hour, and routers forget."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), 60)


_LOOPBACK = ("localhost", "127.", "::1")


def _proxy_of(url: SplitResult) -> SplitResult | None:
    """Return the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY ask for."""
    host = url.hostname or ""
    proxies = getproxies()
    given = proxies.get(url.scheme) or proxies.get("all")
    if not given or host.startswith(_LOOPBACK) or proxy_bypass(host):
        return None
    return urlsplit(given if "://" in given else f"http://{given}")


def _proxy_login(proxy: SplitResult) -> list[str]:
    if proxy.username is None:
        return []
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return [f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}"]
