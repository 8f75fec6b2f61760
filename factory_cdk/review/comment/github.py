"""The comments of a pull request on GitHub.

https://docs.github.com/rest/issues/comments
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from factory_cdk.diagnostics import FactoryError
from factory_cdk.review.comment.posting import Comment
from factory_cdk.review.comment.web import Api, ApiError

_PER_PAGE = 100


class GitHub:
    """The comments of one pull request, as Actions says in a job's environment which one it is."""

    def __init__(self, api: Api, repository: str, number: int) -> None:
        self._api = api
        self._issues = f"/repos/{quote(repository)}/issues"
        self._number = number
        self._login: str | None = None

    def comments(self) -> Iterator[Comment]:
        """All comments, oldest first."""
        login = self._who()
        page = 1
        while True:
            path = f"{self._issues}/{self._number}/comments"
            answer = self._api.call("GET", path, per_page=_PER_PAGE, page=page)
            for one in answer.content:
                yield Comment(one["id"], one["body"] or "", _is_own(one.get("user") or {}, login))
            if 'rel="next"' not in answer.headers.get("link", ""):
                return
            page += 1

    def create(self, body: str) -> None:
        """A new comment."""
        self._api.call("POST", f"{self._issues}/{self._number}/comments", body={"body": body})

    def update(self, comment: Comment, body: str) -> None:
        """Another text for a comment."""
        self._api.call("PATCH", f"{self._issues}/comments/{comment.id}", body={"body": body})

    def _who(self) -> str:
        """The login of the token's user; empty for the token of an app, which may not ask for it."""
        if self._login is None:
            try:
                self._login = str(self._api.call("GET", "/user").content["login"])
            except ApiError as error:
                if error.status != 403:
                    raise
                self._login = ""
        return self._login


def _is_own(user: Mapping[str, Any], login: str) -> bool:
    """Whether a comment is ours: somebody else's may have our first line in order to be overwritten or believed."""
    return user.get("login") == login if login else user.get("type") == "Bot"


def github_here(environment: Mapping[str, str]) -> GitHub:
    """The pull request that this job of Actions is about. FactoryError where something is missing."""
    token = environment.get("GITHUB_TOKEN")
    if not token:
        raise FactoryError("GITHUB_TOKEN is not set", "give the step `env: GITHUB_TOKEN: ${{ github.token }}`")
    repository = environment.get("GITHUB_REPOSITORY")
    number = event_here(environment).get("number")
    if not repository or not isinstance(number, int):
        raise FactoryError(
            "this job is not about a pull request: GITHUB_REPOSITORY or the event has none",
            "run it `on: pull_request`, or without the comment",
        )
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return GitHub(Api(environment.get("GITHUB_API_URL") or "https://api.github.com", headers), repository, number)


def event_here(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """The pull request of the event that started this job; empty where there is none."""
    path = environment.get("GITHUB_EVENT_PATH")
    if not path:
        return {}
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FactoryError(f"the event in GITHUB_EVENT_PATH ({path}) cannot be read: {error}") from error
    found = event.get("pull_request") if isinstance(event, dict) else None
    return found if isinstance(found, dict) else {}


def may_only_read(environment: Mapping[str, str]) -> bool:
    """Whether GitHub gives this job a token that may only read: pull requests from forks and of Dependabot."""
    found = event_here(environment)
    heads = [((found.get(side) or {}).get("repo") or {}).get("full_name") for side in ("head", "base")]
    return heads[0] != heads[1] or environment.get("GITHUB_ACTOR") == "dependabot[bot]"
