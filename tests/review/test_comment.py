"""A report becomes one comment on a pull request, whatever the host answers, and the token is told to nobody."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from comment_server import NUMBER, PROJECT, REPOSITORY, TOKEN, CommentServer, Trouble, serving
from patience import PATIENCE
from reports import four_hundred_ways, mixed, one_line

from factory_cdk.diagnostics import FactoryError
from factory_cdk.review.comment.posting import TRIES, Comment, put_comment
from factory_cdk.review.comment.web import Api, TryAgain
from factory_cdk.review.formats.markdown import as_markdown, marker

MARKER = marker("plans/factory-plan.yml")
BUSY = {"Retry-After": "0"}


@pytest.fixture
def server() -> Iterator[CommentServer]:
    with serving(CommentServer()) as state:
        yield state


@pytest.fixture
def report(tmp_path: Path) -> Path:
    file = tmp_path / "review.md"
    file.write_text(as_markdown(mixed()))
    return file


def comment(
    server: CommentServer, file: Path, *more: str, host: str = "github", fork: bool = False, **variables: str | None
) -> subprocess.CompletedProcess[str]:
    """What CI runs, with the variables that CI sets; None takes one away."""
    event = file.with_name("event.json")
    head = {"repo": {"full_name": "stranger/factory" if fork else REPOSITORY}}
    pull_request = {"number": NUMBER, "head": head, "base": {"repo": {"full_name": REPOSITORY}}}
    event.write_text(json.dumps({"pull_request": pull_request}))
    given: dict[str, str | None] = {"PATH": "/usr/bin:/bin", "no_proxy": "127.0.0.1"}
    if host == "github":
        given |= {
            "GITHUB_API_URL": server.url,
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_STEP_SUMMARY": str(file.with_name("summary.md")),
            "GITHUB_TOKEN": TOKEN,
        }
    else:
        given |= {
            "CI_API_V4_URL": f"{server.url}/api/v4",
            "CI_MERGE_REQUEST_IID": str(NUMBER),
            "CI_MERGE_REQUEST_PROJECT_ID": PROJECT,
            "GITLAB_TOKEN": TOKEN,
        }
    given |= variables
    done = subprocess.run(
        [sys.executable, "-m", "factory_cdk.review.comment", "--host", host, *more, str(file)],
        env={name: value for name, value in given.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert TOKEN not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_a_comment_is_made_once_and_then_updated_in_place(server: CommentServer, report: Path, host: str) -> None:
    server.add("What does this change do?")
    first = comment(server, report, host=host)
    assert (first.returncode, first.stdout) == (0, "the comment is created\n")
    again = comment(server, report, host=host)
    assert again.stdout == "the comment is left as it is\n"
    report.write_text(as_markdown(one_line()))
    second = comment(server, report, host=host)
    assert second.stdout == "the comment is updated\n"
    assert server.bodies() == ["What does this change do?", as_markdown(one_line())]


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_the_comment_is_found_on_a_later_page(server: CommentServer, report: Path, host: str) -> None:
    for number in range(230):
        server.add(f"remark {number}")
    comment(server, report, host=host)
    for number in range(120):
        server.add(f"later remark {number}")
    report.write_text(as_markdown(one_line()))
    assert comment(server, report, host=host).stdout == "the comment is updated\n"
    assert server.bodies().count(as_markdown(one_line())) == 1
    assert sum(MARKER in body for body in server.bodies()) == 1
    assert sum(request.startswith("GET") and "user" not in request for request in server.requests) == 3 + 3


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_what_somebody_else_wrote_is_never_overwritten(server: CommentServer, report: Path, host: str) -> None:
    server.add(f"{MARKER}\nall is well, merge it")
    server.add(f"quoted: {MARKER}", "github-actions[bot]", "Bot", 1)
    before = server.bodies()
    assert comment(server, report, host=host).stdout == "the comment is created\n"
    assert server.bodies()[:2] == before


def test_with_the_token_of_a_person_a_bot_is_somebody_else(server: CommentServer, report: Path) -> None:
    server.user = "ada"
    server.add(f"{MARKER}\nby a bot", "github-actions[bot]", "Bot")
    server.add(f"{MARKER}\nby Ada", "ada")
    assert comment(server, report).stdout == "the comment is updated\n"
    assert server.bodies() == [f"{MARKER}\nby a bot", as_markdown(mixed())]


def test_two_stages_of_one_plan_have_two_comments(server: CommentServer, report: Path) -> None:
    comment(server, report, "--about", "dev")
    comment(server, report, "--about", "prod --> x")
    comment(server, report, "--about", "dev")
    assert [body.split("\n")[0] for body in server.bodies()] == [
        "<!-- factory-cdk review: plans/factory-plan.yml dev -->",
        "<!-- factory-cdk review: plans/factory-plan.yml prod%20-%2D%3E%20x -->",
    ]


def test_when_nothing_changes_a_comment_is_updated_but_none_is_made(server: CommentServer, report: Path) -> None:
    assert comment(server, report, "--update-only").stdout == "the comment is not needed\n"
    assert server.bodies() == []
    comment(server, report)
    report.write_text(as_markdown(one_line()))
    assert comment(server, report, "--update-only").stdout == "the comment is updated\n"


@pytest.mark.parametrize("host", ["github", "gitlab"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("", 502, "Bad Gateway", BUSY),
        Trouble("", 429, "Too Many Requests", BUSY),
        Trouble("", 403, "You have exceeded a secondary rate limit", BUSY),
    ],
    ids=str,
)
def test_what_fails_for_now_is_tried_again(
    server: CommentServer, report: Path, host: str, method: str, trouble: Trouble
) -> None:
    server.trouble = [replace(trouble, method=method), replace(trouble, method=method)]
    done = comment(server, report, host=host)
    assert done.stdout == "the comment is created\n", done.stderr
    assert server.bodies() == [as_markdown(mixed())]


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_a_comment_that_was_made_though_the_host_said_no_is_not_made_twice(
    server: CommentServer, report: Path, host: str
) -> None:
    server.trouble = [Trouble("POST", 502, "Bad Gateway", BUSY, done=True)]
    assert comment(server, report, host=host).returncode == 0
    assert server.bodies() == [as_markdown(mixed())]


def test_a_host_that_never_answers_rightly_is_given_up(server: CommentServer, report: Path) -> None:
    server.trouble = [Trouble("GET", 503, "Service Unavailable", BUSY) for _ in range(2 * TRIES)]
    done = comment(server, report)
    assert done.returncode == 1
    assert "could not be written: HTTP 503: Service Unavailable" in done.stderr
    assert len(server.requests) == TRIES


def test_a_host_that_wants_an_hour_of_peace_is_not_waited_for(server: CommentServer, report: Path) -> None:
    server.trouble = [Trouble("GET", 403, "API rate limit exceeded", {"Retry-After": "3600"})]
    done = comment(server, report)
    assert done.returncode == 1
    assert "rate limit" in done.stderr
    assert len(server.requests) == 1


def test_waits_become_longer_where_the_host_does_not_say_how_long() -> None:
    class Never:
        def comments(self) -> Iterator[Comment]:
            raise TryAgain("no")

        def create(self, body: str) -> None:
            raise AssertionError

        def update(self, comment: Comment, body: str) -> None:
            raise AssertionError

    waits: list[float] = []
    with pytest.raises(FactoryError):
        put_comment(Never(), "x", update_only=False, wait=waits.append)
    assert waits == [1, 2, 4, 8]


def test_on_a_pull_request_from_a_fork_the_report_goes_to_the_summary(server: CommentServer, report: Path) -> None:
    server.read_only = True
    done = comment(server, report, fork=True)
    assert done.returncode == 0
    assert done.stdout.startswith("::notice title=factory-cdk review::no comment was written: the token may only read")
    assert "docs/review.md" in done.stdout
    assert report.with_name("summary.md").read_text() == as_markdown(mixed())
    assert comment(server, report, "--shown", fork=True).returncode == 0
    assert report.with_name("summary.md").read_text() == as_markdown(mixed())


def test_dependabot_s_token_may_only_read_either(server: CommentServer, report: Path) -> None:
    server.read_only = True
    assert comment(server, report, GITHUB_ACTOR="dependabot[bot]").returncode == 0


def test_in_a_merge_request_from_a_fork_there_is_no_token_and_the_report_goes_to_the_log(
    server: CommentServer, report: Path
) -> None:
    done = comment(server, report, host="gitlab", GITLAB_TOKEN=None)
    assert done.returncode == 0
    assert as_markdown(mixed()) in done.stdout
    assert "GITLAB_TOKEN is not set" in done.stdout
    assert server.requests == []


@pytest.mark.parametrize(
    ("host", "variables", "said"),
    [
        ("github", {"GITHUB_TOKEN": "another"}, "the token is wrong or has expired"),
        ("github", {"GITHUB_TOKEN": None}, "GITHUB_TOKEN: ${{ github.token }}"),
        ("github", {"GITHUB_REPOSITORY": "plant/gone"}, "does not reach this repository"),
        ("github", {"GITHUB_REPOSITORY": None}, "not about a pull request"),
        ("github", {"GITHUB_EVENT_PATH": "/nowhere"}, "cannot be read"),
        ("github", {"GITHUB_EVENT_PATH": None}, "not about a pull request"),
        ("github", {"GITHUB_API_URL": "http://api.example"}, "is not https"),
        ("gitlab", {"GITLAB_TOKEN": "another"}, "the token is wrong or has expired"),
        ("gitlab", {"CI_MERGE_REQUEST_PROJECT_ID": "43"}, "does not reach this repository"),
        ("gitlab", {"CI_MERGE_REQUEST_IID": None}, "not about a merge request"),
    ],
)
def test_what_is_missing_is_said(
    server: CommentServer, report: Path, host: str, variables: dict[str, str | None], said: str
) -> None:
    done = comment(server, report, host=host, **variables)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert server.bodies() == []


@pytest.mark.parametrize(("host", "said"), [("github", "permissions: pull-requests: write"), ("gitlab", "scope `api`")])
def test_a_token_that_should_be_allowed_to_write_and_is_not_is_an_error(
    server: CommentServer, report: Path, host: str, said: str
) -> None:
    server.read_only = True
    done = comment(server, report, host=host)
    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize("content", [b"", b"# not a report\n", b"<!-- factory-cdk review:  -->\n", b"\xff\xfe"])
def test_only_a_report_becomes_a_comment(server: CommentServer, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other.md"
    file.write_bytes(content)
    assert comment(server, file).returncode == 1
    assert comment(server, tmp_path / "missing.md").returncode == 1
    assert server.requests == []


def test_a_report_that_is_too_long_is_cut_and_names_the_artefact(server: CommentServer, report: Path) -> None:
    stage = four_hundred_ways().stages[0]
    many = replace(four_hundred_ways(), stages=tuple(replace(stage, name=f"prod-{number}") for number in range(4)))
    report.write_text(as_markdown(many))
    page = "https://github.com/plant/factory/actions/runs/1/artifacts/2"
    assert comment(server, report, "--full-report", page).returncode == 0
    (body,) = server.bodies()
    assert len(body) <= 65_536
    assert body.endswith(f"[The whole report]({page})\n")
    comment(server, report, host="gitlab")
    assert server.bodies()[1] == as_markdown(many)


def test_a_redirect_does_not_get_the_token(server: CommentServer) -> None:
    with serving(CommentServer()) as elsewhere:
        server.trouble = [Trouble("GET", 302, "Found", {"Location": f"{elsewhere.url}/user"})]
        api = Api(server.url, {"Authorization": f"Bearer {TOKEN}"})
        with pytest.raises(Exception, match="HTTP 302"):
            api.call("GET", "/user")
        assert elsewhere.requests == []


def test_a_host_that_is_not_there_is_tried_again() -> None:
    with serving(CommentServer()) as gone:
        pass
    with pytest.raises(TryAgain, match="cannot be reached"):
        Api(gone.url, {}).call("GET", "/user")
