"""`python -m factory_cdk.review.comment`: what CI runs."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from factory_cdk.diagnostics import FactoryError
from factory_cdk.plain_text import printable
from factory_cdk.review.comment.github import github_here, may_only_read
from factory_cdk.review.comment.gitlab import gitlab_here
from factory_cdk.review.comment.posting import Host, put_comment
from factory_cdk.review.comment.web import ApiError
from factory_cdk.review.formats.cutting import GITHUB, GITLAB, cut
from factory_cdk.review.formats.escaping import for_comment
from factory_cdk.workflow_commands import annotation

SUMMARY = 1_000_000
"""Bytes; GitHub takes 1 MiB in the summary of a step."""

_LIMITS = {"github": GITHUB, "gitlab": GITLAB}

_MARKER = re.compile(r"(<!-- factory-cdk review: [^ \n]+)( [^ \n]+)? -->")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", type=click.Choice(["github", "gitlab"]), required=True, help="Where the comment is.")
@click.option("--about", metavar="TEXT", default="", help="Tells this comment from others on the same plan: a stage.")
@click.option("--full-report", metavar="URL", help="Where the whole report is, for a comment that has to be cut.")
@click.option("--update-only", is_flag=True, help="Update a comment that is there, make none.")
@click.option("--shown", is_flag=True, help="The report is in the job's summary already: do not add it.")
@click.argument("file", type=click.Path(path_type=Path))
def command(host: str, about: str, full_report: str | None, update_only: bool, shown: bool, file: Path) -> int:
    """Let the comment on a pull request say what FILE says, a report of `factory-cdk review --format markdown`.

    The comment is found by the report's first line and updated; where there is none, it is made. The token is read from
    GITHUB_TOKEN or GITLAB_TOKEN; which pull request it is, from the variables that GitHub Actions and GitLab CI set.

    Where the token may only read, as in pull requests from forks, the report goes to the job's summary (GitHub) or its
    log (GitLab) instead, and that is no error.
    """
    report = _read(file, about)
    body = cut(report, _LIMITS[host], full_report)
    try:
        if host == "gitlab" and not os.environ.get("GITLAB_TOKEN"):
            return _not_commented(
                host, "GITLAB_TOKEN is not set, as in merge requests from forks",
                "add a project access token with the scope `api` as a masked variable of the project", report, shown,
            )  # fmt: skip
        outcome = put_comment(_host(host, os.environ), body, update_only=update_only, wait=time.sleep)
    except ApiError as error:
        return _refused(host, error, report, shown)
    click.echo(f"the comment is {outcome}")
    return 0


def _read(file: Path, about: str) -> str:
    """The report, its first line naming what it is `about`, too."""
    try:
        report = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FactoryError(f"{file} cannot be read: {error}") from error
    first, _, rest = report.partition("\n")
    found = _MARKER.fullmatch(first)
    if found is None:
        raise FactoryError(
            f"{file} is no report: its first line has no mark",
            "write it with `factory-cdk review --format markdown -o`",
        )
    return f"{found[1]} {for_comment(about[:80])} -->\n{rest}" if about else report


def _host(host: str, environment: Mapping[str, str]) -> Host:
    return github_here(environment) if host == "github" else gitlab_here(environment)


def _refused(host: str, error: ApiError, report: str, shown: bool) -> int:
    """What a host's refusal means for the job: its exit code, or FactoryError."""
    if host == "github" and error.status == 403 and may_only_read(os.environ):
        remedy = "this is a pull request from a fork or of Dependabot; docs/review.md says how to comment on those"
        return _not_commented(host, f"the token may only read ({error})", remedy, report, shown)
    remedies = {
        401: "the token is wrong or has expired",
        403: "the job needs `permissions: pull-requests: write`"
        if host == "github"
        else "the token needs the scope `api` and the role Reporter or above",
        404: "the token does not reach this repository, or the pull request is gone",
    }
    raise FactoryError(f"the comment was refused: {error}", remedies.get(error.status))


def _not_commented(host: str, why: str, remedy: str, report: str, shown: bool) -> int:
    """Show the report where the job shows it, and say why there is no comment."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY") if host == "github" else None
    if summary and not shown:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(cut(report, SUMMARY // 4))  # a character is up to four bytes
    elif not shown:
        click.echo(printable(report))
    said = f"no comment was written: {why}; {remedy}"
    click.echo(annotation("notice", said, title="factory-cdk review") if host == "github" else said)
    return 0


def main() -> None:
    """Run it; what a user can cause ends as a line or two on stderr."""
    try:
        sys.exit(command.main(standalone_mode=False))
    except FactoryError as error:
        click.echo(f"error: {printable(error.message)}", err=True)
        if error.remedy:
            click.echo(f"  help: {printable(error.remedy)}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
