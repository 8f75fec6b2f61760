"""A proxy in front of the emulated AWS that counts calls, and answers some of them with faults.

The wait handles that CloudFormation tells of lead through it, too: a signal is the call `handle.PUT`.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Fault(Enum):
    """What becomes of a call: it is refused in one of AWS's ways, the connection is cut before or after it was done,
    or the credentials are not taken, or may not, or a parameter is invalid, and then AWS repeats what was sent.
    """

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    CUT = "cut"
    ANSWER_LOST = "answer lost"
    EXPIRED = "expired"
    DENIED = "denied"
    INVALID = "invalid"


_CODES = {
    Fault.THROTTLED: "ThrottlingException",
    Fault.EXPIRED: "ExpiredTokenException",
    Fault.DENIED: "AccessDeniedException",
    Fault.INVALID: "ValidationException",
}


@dataclass(frozen=True)
class Call:
    """A call: which operation of which service (`sqs.SendMessageBatch`, `s3.PUT`), its body, its Authorization, and
    the path that it is for.
    """

    operation: str
    body: bytes
    authorization: str
    path: str = ""

    @property
    def region(self) -> str:
        """The region that it is for; of a signal, none."""
        return self.authorization.split("/")[2] if self.authorization else ""

    @property
    def is_query(self) -> bool:
        """Whether it is of a service whose answers are XML (EC2, CloudFormation)."""
        return self.body.startswith(b"Action=")


Chosen = Callable[[Call], Fault | None]


@dataclass
class Proxy:
    """A running proxy at `url`. `choose` says which fault a call meets; `date` is what answers say the time is."""

    url: str
    calls: list[Call] = field(default_factory=list)
    choose: Chosen = lambda _: None
    date: str | None = None

    def counted(self) -> Counter[str]:
        """How often each operation was called."""
        return Counter(call.operation for call in self.calls)


@contextmanager
def proxied(emulator_url: str) -> Iterator[Proxy]:
    """A proxy in front of the emulator; it ends with the block."""
    target = urlsplit(emulator_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, TimeoutError):  # who has asked does not listen any more
                self.close_connection = True

        def handle_any(self) -> None:
            call = self.read_call()
            proxy.calls.append(call)
            fault = proxy.choose(call)
            if fault is Fault.CUT:
                self.cut()
            elif fault in (None, Fault.ANSWER_LOST):
                status, headers, body = self.forward(call)
                if fault is None:
                    self.answer(status, headers, body)
                else:
                    self.cut()
            else:
                self.refuse(fault, call)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815 - names of http.server

        def read_call(self) -> Call:
            target_header = self.headers.get("X-Amz-Target", "")
            operation = target_header.partition(".")[2]
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            authorization = self.headers.get("Authorization", "")
            name = authorization.split("/")[3] if authorization else "handle"
            if body.startswith(b"Action="):
                operation = parse_qs(body.decode())["Action"][0]
            return Call(f"{name}.{operation or self.command}", body, authorization, self.path)

        def forward(self, call: Call) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
            try:
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                connection.request(self.command, self.path, call.body, headers)
                answer = connection.getresponse()
                text = answer.read()
                if call.operation.startswith("cloudformation."):  # its answers name the wait handles
                    text = text.replace(emulator_url.encode(), proxy.url.encode())
                return answer.status, answer.getheaders(), text
            finally:
                connection.close()

        def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "date"):
                    self.send_header(name, value)
            self.send_header("Date", proxy.date or self.date_time_string())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def refuse(self, fault: Fault, call: Call) -> None:
            if fault is Fault.UNAVAILABLE:
                self.answer(503, [], b"")
                return
            code = _CODES[fault]
            if call.operation.startswith(("s3.", "handle.")):  # a wait handle is an object of S3, too
                self.refuse_s3(fault, code)
                return
            if call.is_query:
                error = f"<Error><Code>{code}</Code><Message>from the proxy</Message></Error>"
                text = f"<ErrorResponse>{error}</ErrorResponse>"
                self.answer(400, [("Content-Type", "text/xml")], text.encode())
                return
            message = call.body.decode() if fault is Fault.INVALID else "from the proxy"
            text = json.dumps({"__type": code, "message": message}).encode()
            self.answer(400, [("Content-Type", "application/x-amz-json-1.0"), ("x-amzn-errortype", code)], text)

        def refuse_s3(self, fault: Fault, code: str) -> None:
            """As S3 does it, which has codes of its own, and no text for who asks for the head alone."""
            code, status = {
                Fault.THROTTLED: ("SlowDown", 503),
                Fault.DENIED: ("AccessDenied", 403),
                Fault.EXPIRED: ("ExpiredToken", 400),
            }.get(fault, (code, 400))
            text = f"<Error><Code>{code}</Code><Message>from the proxy</Message></Error>"
            self.answer(status, [("Content-Type", "application/xml")], text.encode())

        def cut(self) -> None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

        def log_message(self, *_: Any) -> None:
            """Nothing: the test has the calls."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Connections end as they like here."""

    server = Server(("127.0.0.1", 0), Handler)
    proxy = Proxy(f"http://localhost:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
