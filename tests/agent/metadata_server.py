"""The metadata service of one instance (IMDSv2), as a real HTTP server on loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "imds-token-AQAEAF7xVq=="
INSTANCE = "i-0123456789abcdef0"
SECRET_KEY = "wJalrXUtnFEMI-secret-key"
KEYS = {
    "Code": "Success",
    "AccessKeyId": "ASIATESTTESTTESTTEST",
    "SecretAccessKey": SECRET_KEY,
    "Token": "session-token-IQoJb3JpZ2luX2VjE",
    "Expiration": "2099-01-01T00:00:00Z",
}
ANSWERS = {
    "instance-id": INSTANCE,
    "services/domain": "amazonaws.com",
    "iam/security-credentials/": "sector-role",
    "iam/security-credentials/sector-role": json.dumps(KEYS),
}


class MetadataServer(ThreadingHTTPServer):
    """`answers` says what there is below meta-data/, `asked` every path that was asked with a token."""

    daemon_threads = True

    def __init__(self, listening: socket.socket | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=listening is None)
        if listening is not None:
            self.socket.close()
            self.socket = listening
            self.server_address = listening.getsockname()
            self.server_port = self.server_address[1]
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.answers = dict(ANSWERS)


def role_keys(keys: Mapping[str, Any]) -> str:
    """The answer for the role's credentials, made of those that STS gave."""
    said = {
        "AccessKeyId": keys["AccessKeyId"],
        "SecretAccessKey": keys["SecretAccessKey"],
        "Token": keys["SessionToken"],
    }
    return json.dumps({**KEYS, **said})


class _Handler(BaseHTTPRequestHandler):
    server: MetadataServer

    def log_message(self, *args: object) -> None:
        pass

    def do_PUT(self) -> None:
        wanted = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self._answer(200 if wanted and self.path == "/latest/api/token" else 400, TOKEN)

    def do_GET(self) -> None:
        path = self.path.removeprefix("/latest/meta-data/")
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self._answer(401, "")
            return
        self.server.asked.append(path)
        self._answer(200 if path in self.server.answers else 404, self.server.answers.get(path, ""))

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # who asked waits no longer
            self.wfile.write(text.encode())


@contextmanager
def metadata_service(listening: socket.socket | None = None) -> Iterator[MetadataServer]:
    """The service, on a free port of loopback or where it is already listened."""
    server = MetadataServer(listening)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
