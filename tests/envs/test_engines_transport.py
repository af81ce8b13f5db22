"""HTTP/1.1 as real servers speak it: lengths, chunks, closings, TLS, proxies, and not at all."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cascade.envs.engines import transport
from cascade.envs.engines.transport import ConnectFailed, ConnectionBroken, HttpPool
from mock_server import MockServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Handle = Callable[[socket.socket], None]


@contextmanager
def serving(handle: Handle, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Run `handle` in a thread for each connection, which it closes; yields the port."""
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            handle(connection)
        connection.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(10)
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in (acceptor, *threads):
                thread.join()


def answering(*chunks: bytes) -> Handle:
    """Read one request, then write `chunks` one by one."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        for chunk in chunks:
            connection.sendall(chunk)
            time.sleep(0.002)
        # An orderly end; closing with unread data would reset the connection.
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)

    return handle


def read_head(connection: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError("the client closed")
        data += byte
    return data


def read_request(connection: socket.socket) -> bytes:
    head = read_head(connection)
    rest = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    body = bytearray()
    while len(body) < rest and (part := connection.recv(1 << 16)):
        body += part
    return head + bytes(body)


async def body_of(handle: Handle) -> bytes:
    with serving(handle) as port:
        pool = HttpPool(f"http://127.0.0.1:{port}", {})
        try:
            return (await pool.post("/", b"{}", 5)).body
        finally:
            await pool.aclose()


async def test_a_body_split_at_every_byte_is_whole() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    assert await body_of(answering(*(bytes([byte]) for byte in answer))) == b"hello"


async def test_a_chunked_body_is_joined() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
    assert await body_of(answering(head, body[:7], body[7:])) == b"hello"


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    assert await body_of(answering(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")) == b"hello"


async def test_an_interim_answer_is_passed_over() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert await body_of(answering(answer)) == b"ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ntoo short",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"\x00" * 1000,
        b"",
    ],
)
async def test_what_is_no_whole_answer_is_a_broken_connection(answer: bytes) -> None:
    with pytest.raises(ConnectionBroken):
        await body_of(answering(answer))


async def test_an_answer_without_bounds_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server gone mad must not fill the memory."""
    monkeypatch.setattr(transport, "MAX_RESPONSE_BYTES", 100_000)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    with pytest.raises(ConnectionBroken, match="larger than 100,000 bytes"):
        await body_of(answering(answer, *[b"x" * 60_000] * 4))


async def test_a_large_request_and_answer_arrive_whole() -> None:
    def echo(connection: socket.socket) -> None:
        body = read_request(connection).split(b"\r\n\r\n", 1)[1]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    body = bytes(range(256)) * 20_000
    with serving(echo) as port:
        pool = HttpPool(f"http://127.0.0.1:{port}", {})
        assert (await pool.post("/", body, 10)).body == body
        await pool.aclose()


async def test_an_idle_connection_that_the_server_closed_is_replaced_unseen() -> None:
    """Servers close idle connections at any moment; that is no failure of theirs."""
    connections = 0

    def once(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        read_request(connection)
        connection.sendall(OK)
        connection.recv(1)  # the next request has been sent: close upon it, unanswered

    with serving(once) as port:
        pool = HttpPool(f"http://127.0.0.1:{port}", {})
        for _ in range(4):
            assert (await pool.post("/", b"{}", 5)).body == b"ok"
        await pool.aclose()
    assert connections == 4


async def test_a_connection_is_not_used_again_when_the_server_says_close(
    mock_server: MockServer,
) -> None:
    mock_server.script({"close": True}, {"chunked": True})
    pool = HttpPool(mock_server.base_url, {})
    for _ in range(3):
        assert (await pool.post("/completions", b'{"model": "mock"}', 5)).status == 200
    await pool.aclose()
    assert mock_server.stats()["connections"] == 2 + 2  # the two that scripted and asked


async def test_the_query_of_the_base_url_is_kept(mock_server: MockServer) -> None:
    pool = HttpPool(f"{mock_server.base_url}/?api-version=3", {})
    await pool.post("/completions", b"{}", 5)
    await pool.aclose()
    assert mock_server.requests()[-1]["path"] == "/v1/completions?api-version=3"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody trusts yet, and its key."""
    path, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:models.test,IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, "-keyout", str(key), "-out", str(path)], check=True, capture_output=True
        )
    except FileNotFoundError:
        pytest.skip("the program openssl, which makes the certificate, is not installed")
    return path, key


def tls_of(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_tls_works_for_a_trusted_server_and_refuses_others(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE names further certificates to trust, as everywhere."""
    handle = answering(OK)
    with serving(handle, tls_of(certificate)) as port:
        url = f"https://127.0.0.1:{port}"
        stranger = HttpPool(url, {})
        with pytest.raises(ConnectFailed, match="self-signed"):
            await stranger.post("/", b"{}", 5)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        pool = HttpPool(url, {})
        assert (await pool.post("/", b"{}", 5)).body == b"ok"
        await pool.aclose()


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        seen.append(read_request(connection))
        connection.sendall(OK)

    with serving(proxy) as port:
        monkeypatch.setenv("http_proxy", f"http://me:pa%20ss@127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "inside.test")
        pool = HttpPool("http://models.test:81/v1", {})
        assert (await pool.post("/completions", b"{}", 5)).body == b"ok"
        await pool.aclose()
        assert HttpPool("http://inside.test/v1", {})._proxy is None
        assert HttpPool("http://127.0.0.1:9/v1", {})._proxy is None
    assert seen[0].startswith(b"POST http://models.test:81/v1/completions HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic bWU6cGEgc3M=\r\n" in seen[0]


async def test_tls_goes_through_a_tunnel_of_the_proxy(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy sees the name of the server, and not the request."""
    heads: list[bytes] = []
    handle = answering(OK)
    with serving(handle, tls_of(certificate)) as target:

        def proxy(connection: socket.socket) -> None:
            heads.append(read_head(connection))
            with socket.create_connection(("127.0.0.1", target)) as inner:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pump, args=(inner, connection))
                back.start()
                pump(connection, inner)
                back.join()

        with serving(proxy) as port:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
            pool = HttpPool("https://models.test/v1", {"Authorization": "Bearer secret"})
            assert (await pool.post("/completions", b"{}", 5)).body == b"ok"
            await pool.aclose()
    assert heads[0].startswith(b"CONNECT models.test:443 HTTP/1.1\r\n")
    assert b"secret" not in heads[0]


async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def proxy(connection: socket.socket) -> None:
        read_head(connection)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with serving(proxy) as port:
        monkeypatch.setenv("https_proxy", f"127.0.0.1:{port}")
        pool = HttpPool("https://models.test/v1", {})
        with pytest.raises(ConnectFailed, match=r"proxy 127\.0\.0\.1 answered .*407"):
            await pool.post("/", b"{}", 5)
        await pool.aclose()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Copy until the end, and pass that on."""
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
