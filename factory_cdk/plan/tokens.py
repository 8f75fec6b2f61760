"""What tokens of well-known services look like, and which urls hold one or a password."""

from __future__ import annotations

import re

TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("an AWS access key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
        ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY"),
        ("a GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})"),
        ("a GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_-]{20,}"),
        ("a Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/\w{20,}"),
        ("a Stripe key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
        ("a Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
        ("a PyPI token", r"\bpypi-AgE[A-Za-z0-9_-]{20,}"),
        ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("a Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}"),
        ("an API key of a model provider", r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}"),
        ("a SendGrid key", r"\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
        ("a JSON Web Token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+"),
    )
)
"""The kinds of tokens, and what each looks like."""

_OF_GIT_HOSTS = re.compile(r"gh[pousr]_|github_pat_|gl(?:pat|dt|rt|cbt|ptt|ft|soat)-|ATBB|ATCTT|hf_|x-oauth")
"""How tokens of git hosts begin, however long they are."""

_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]*:(?![0-9]*/)[^@]*@")
_USER = re.compile(r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?(?P<user>[^/?#@:]+)@")
_QUERY = re.compile(r"[?&#](?:[a-z]+[_-])?(?:token|key|password|secret)=", re.IGNORECASE)
_OPAQUE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_=-]{20,}")
"""A user of an http url that no person has: hosts take a token in its place."""


def token_in(text: str) -> str | None:
    """The kind of the first well-known token in `text`, or None."""
    return next((kind for kind, pattern in TOKENS if pattern.search(text)), None)


def without_tokens(text: str) -> str:
    """`text` with `<token>` in the place of every well-known token in it."""
    for _, pattern in TOKENS:
        text = pattern.sub("<token>", text)
    return text


def credential_in_url(url: str) -> str | None:
    """`a password` or `a token` where a git url holds one, also one that would have to be escaped, or None.

    The user of an ssh url is none, and neither is one of http that looks like a person's name.
    """
    if _PASSWORD.match(url):
        return "a password"
    if token_in(url) is not None or _QUERY.search(url):
        return "a token"
    found = _USER.match(url)
    if found is None:
        return None
    of_http = (found["scheme"] or "").lower().removeprefix("git+") in ("http", "https")
    is_token = _OF_GIT_HOSTS.match(found["user"]) or (of_http and _OPAQUE.fullmatch(found["user"]))
    return "a token" if is_token else None
