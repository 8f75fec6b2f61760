"""A server that behaves as the REST APIs of GitHub and GitLab do, as far as comments go."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "token-that-nobody-may-see"
REPOSITORY = "plant/factory"
PROJECT = "42"
NUMBER = 7
LONGEST = {"github": 65_536, "gitlab": 1_000_000}


@dataclass
class Trouble:
    """An answer that is given once instead of the right one; `done` where the request is carried out nevertheless."""

    method: str
    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False


@dataclass
class CommentServer:
    """The comments of one pull request; `trouble` is given first, each once."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    trouble: list[Trouble] = field(default_factory=list)
    read_only: bool = False
    user: str | None = None
    """The login of the token's user; None: it is an app's, as that of Actions is."""

    requests: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, body: str, login: str = "somebody", kind: str = "User", id_of_user: int = 5) -> None:
        """A comment by somebody else."""
        user = {"login": login, "type": kind}
        self.comments.append(
            {
                "id": len(self.comments) + 100,
                "body": body,
                "user": user,
                "author": {"id": id_of_user, "username": login},
            }
        )

    def bodies(self) -> list[str]:
        return [one["body"] for one in self.comments]


class _Handler(BaseHTTPRequestHandler):
    state: CommentServer

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        self.state.requests.append(f"{self.command} {parts.path}")
        trouble = next((one for one in self.state.trouble if one.method == self.command), None)
        if trouble is not None:
            self.state.trouble.remove(trouble)
            if trouble.done:
                self._answer(parts.path, parse_qs(parts.query), body)
            return self._send(trouble.status, {"message": trouble.message}, trouble.headers)
        return self._send(*self._answer(parts.path, parse_qs(parts.query), body))

    do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815 - names of the library

    def _answer(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any, dict[str, str]]:
        on_gitlab = path.startswith("/api/v4/")
        if not self._is_known(on_gitlab):
            return 401, {"message": "401 Unauthorized" if on_gitlab else "Bad credentials"}, {}
        if on_gitlab:
            return self._gitlab(path.removeprefix("/api/v4"), query, body)
        return self._github(path, query, body)

    def _is_known(self, on_gitlab: bool) -> bool:
        if on_gitlab:
            return self.headers.get("PRIVATE-TOKEN") == TOKEN
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _github(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any, dict[str, str]]:
        state = self.state
        if path == "/user":
            if state.user is None:
                return 403, {"message": "Resource not accessible by integration"}, {}
            return 200, {"login": state.user}, {}
        if self.command == "GET" and path == f"/repos/{REPOSITORY}/issues/{NUMBER}/comments":
            found, more = self._page(query)
            link = f'<{state.url}{path}?page={more}>; rel="next"' if more else ""
            return 200, found, {"Link": link} if link else {}
        if self.command in {"POST", "PATCH"} and state.read_only:
            return 403, {"message": "Resource not accessible by integration"}, {}
        me = {"login": state.user, "type": "User"} if state.user else {"login": "github-actions[bot]", "type": "Bot"}
        if self.command == "POST" and path == f"/repos/{REPOSITORY}/issues/{NUMBER}/comments":
            return self._create("github", body, {"user": me})
        found_id = re.fullmatch(rf"/repos/{REPOSITORY}/issues/comments/(\d+)", path)
        if self.command == "PATCH" and found_id:
            return self._update("github", int(found_id[1]), body)
        return 404, {"message": "Not Found"}, {}

    def _gitlab(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any, dict[str, str]]:
        notes = f"/projects/{PROJECT}/merge_requests/{NUMBER}/notes"
        if path == "/user":
            return 200, {"id": 1}, {}
        if self.command == "GET" and path == notes:
            found, more = self._page(query)
            return 200, found, {"X-Next-Page": str(more or "")}
        if self.command in {"POST", "PUT"} and self.state.read_only:
            return 403, {"error": "insufficient_scope"}, {}
        if self.command == "POST" and path == notes:
            return self._create("gitlab", body, {"author": {"id": 1, "username": "project_42_bot"}})
        found_id = re.fullmatch(rf"{notes}/(\d+)", path)
        if self.command == "PUT" and found_id:
            return self._update("gitlab", int(found_id[1]), body)
        return 404, {"message": "404 Not found"}, {}

    def _page(self, query: dict[str, list[str]]) -> tuple[list[dict[str, Any]], int | None]:
        size = min(int(query.get("per_page", ["30"])[0]), 100)
        page = int(query.get("page", ["1"])[0])
        found = self.state.comments[(page - 1) * size : page * size]
        return found, page + 1 if page * size < len(self.state.comments) else None

    def _create(self, host: str, body: Any, by: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if len(body["body"]) > LONGEST[host]:
            return 422, {"message": "Body is too long"}, {}
        comment = {"id": len(self.state.comments) + 100, "body": body["body"], **by}
        self.state.comments.append(comment)
        return 201, comment, {}

    def _update(self, host: str, number: int, body: Any) -> tuple[int, Any, dict[str, str]]:
        if len(body["body"]) > LONGEST[host]:
            return 422, {"message": "Body is too long"}, {}
        for comment in self.state.comments:
            if comment["id"] == number:
                comment["body"] = body["body"]
                return 200, comment, {}
        return 404, {"message": "Not Found"}, {}

    def _send(self, status: int, content: Any, headers: dict[str, str]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the library
        """Nothing: a test reads `requests`."""


@contextmanager
def serving(state: CommentServer) -> Iterator[CommentServer]:
    """`state` behind a port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
