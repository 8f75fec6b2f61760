"""The notes of a merge request on GitLab.

https://docs.gitlab.com/api/notes/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from factory_cdk.diagnostics import FactoryError
from factory_cdk.review.comment.posting import Comment
from factory_cdk.review.comment.web import Api

_PER_PAGE = 100


class GitLab:
    """The notes of one merge request, as GitLab CI says in a job's environment which one it is."""

    def __init__(self, api: Api, project: str, number: str) -> None:
        self._api = api
        self._notes = f"/projects/{quote(project, safe='')}/merge_requests/{quote(number, safe='')}/notes"
        self._user: int | None = None

    def comments(self) -> Iterator[Comment]:
        """All notes, oldest first."""
        if self._user is None:
            self._user = int(self._api.call("GET", "/user").content["id"])
        page = "1"
        while page:
            answer = self._api.call(
                "GET", self._notes, per_page=_PER_PAGE, page=page, sort="asc", order_by="created_at"
            )
            for one in answer.content:
                yield Comment(one["id"], one["body"] or "", (one.get("author") or {}).get("id") == self._user)
            page = answer.headers.get("x-next-page", "")

    def create(self, body: str) -> None:
        """A new note."""
        self._api.call("POST", self._notes, body={"body": body})

    def update(self, comment: Comment, body: str) -> None:
        """Another text for a note."""
        self._api.call("PUT", f"{self._notes}/{comment.id}", body={"body": body})


def gitlab_here(environment: Mapping[str, str]) -> GitLab:
    """The merge request that this job of GitLab CI is about. FactoryError where something is missing."""
    project = environment.get("CI_MERGE_REQUEST_PROJECT_ID")
    number = environment.get("CI_MERGE_REQUEST_IID")
    base = environment.get("CI_API_V4_URL")
    if not project or not number or not base:
        raise FactoryError(
            "this job is not about a merge request: CI_MERGE_REQUEST_PROJECT_ID, CI_MERGE_REQUEST_IID or CI_API_V4_URL "
            "is not set",
            "run it in a merge request pipeline: `rules: - if: $CI_PIPELINE_SOURCE == 'merge_request_event'`",
        )
    return GitLab(Api(base, {"PRIVATE-TOKEN": environment["GITLAB_TOKEN"]}), project, number)
