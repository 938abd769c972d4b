"""A network as companies have it: a proxy that may ask for a password, and TLS with a CA of one's own."""

import asyncio
import os
import re
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp.http import SERVER_SOFTWARE
from attrs import define, field

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def certificate(folder: Path, *names: str) -> ssl.SSLContext:
    """Write ``ca.pem``, which has signed itself for names such as ``IP:::1``; return what a server with it uses."""
    own, key = folder / "ca.pem", folder / "key.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    about = ["-subj", "/CN=Acme CA", "-addext", f"subjectAltName={','.join(names)}"]
    command = ["openssl", "req", "-x509", *kind, "-out", str(own), "-days", "2", *about]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    return context


@asynccontextmanager
async def listening(
    handle: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncGenerator[int]:
    """Call `handle` with every connection, and close it in the end; yield the port."""
    tasks = set[asyncio.Task[object]]()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            tasks.add(task)
        with suppress(ConnectionError, EOFError, ssl.SSLError, asyncio.CancelledError):
            try:
                await handle(reader, writer)
            finally:
                writer.close()

    async with await asyncio.start_server(accepted, host, 0, ssl=tls) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass on what comes, both ways, to a port of this machine."""
    there, back = await asyncio.open_connection("127.0.0.1", port)

    async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
        target.close()

    try:
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
    finally:
        back.close()


@asynccontextmanager
async def encrypted(port: int, tls: ssl.SSLContext, *, host: str = "127.0.0.1") -> AsyncGenerator[int]:
    """Speak TLS for a server that does not; yield the port."""
    async with listening(lambda reader, writer: join(reader, writer, port), tls=tls, host=host) as own:
        yield own


@define
class Proxy:
    """An HTTP proxy with CONNECT.

    Attributes:
        password: ``user:password`` to ask for; None for a proxy without.
        status: What it answers instead of connecting; 200 for connecting.
        target: Port of this machine to connect to, whatever it is asked for; None for the port that it is asked for.
        asked: All that it could read, by connection: the request line and the headers.
    """

    password: str | None = None
    status: int = 200
    target: int | None = None
    asked: list[str] = field(factory=list[str])
    url: str = ""

    def tunnel_to(self, place: str) -> str:
        """Return what it may read of whoever asks for a tunnel: nothing of the client, and nothing for the server."""
        usual = {str(name): value for name, value in aiohttp.ClientRequest.DEFAULT_HEADERS.items()}
        headers = {"Host": place.removesuffix(":443"), **usual, "User-Agent": SERVER_SOFTWARE}
        if self.password is not None:
            headers["Proxy-Authorization"] = f"Basic {b64encode(self.password.encode()).decode()}"
        lines = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
        return f"CONNECT {place} HTTP/1.1\r\n{lines}\r\n\r\n"

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Proxy"]:
        async with listening(self._serve) as port:
            user = f"{self.password}@" if self.password else ""
            self.url = f"http://{user}127.0.0.1:{port}"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.decode())
        if self.password is not None and b64encode(self.password.encode()) not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        elif self.status != 200:
            writer.write(f"HTTP/1.1 {self.status} No\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await join(reader, writer, self.target or int(head.split()[1].rpartition(b":")[2]))


class Forgetful:
    """A server in a thread: it answers requests, and closes all connections when it is told to."""

    def __init__(self, answer: bytes) -> None:
        self.seen = list[bytes]()
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = list[socket.socket]()
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.forget()

    def forget(self) -> None:
        """Close the connections; blocks the thread that calls, as long computations do."""
        for connection in self._open:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with suppress(OSError):
            while more := connection.recv(65_536):
                head, blank, body = (data := data + more).partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if blank and len(body) == int(length[1] if length else 0):
                    self.seen.append(head.split()[0])
                    data = b""
                    connection.sendall(self._answer)


class Alerting:
    """A TLS server in a thread: one of asyncio sends no alert when it breaks off."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                spoken = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                with suppress(OSError):
                    spoken.do_handshake()
                with spoken, suppress(OSError):
                    while os.read(spoken.fileno(), 4096):  # what nobody reads resets the connection: no alert
                        pass
