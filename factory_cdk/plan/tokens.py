"""What tokens and keys look like: known forms, and text as random as only they are."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

_KINDS: tuple[tuple[str, str], ...] = (
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
    ("a password in a URL", r"\b[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/:@]{3,}@"),
)
_KNOWN = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)

_RUN = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def known_token(text: str) -> str | None:
    """What kind of token or key of a known form is in `text` (`a GitHub token`); None when there is none."""
    return next((kind for kind, pattern in _KNOWN if pattern.search(text)), None)


def has_random_run(text: str) -> bool:
    """Whether `text` has a run of letters and digits that is as mixed as only random ones are."""
    return any(_is_random(found[0].rstrip("=")) for found in _RUN.finditer(text))


def _is_random(run: str) -> bool:
    """Whether a run of letters and digits is as mixed as only random ones are.

    Of 24 random characters of base 64 nearly two thirds follow one of another kind (lower case, upper case,
    digit, other); names, paths and identifiers stay within a kind for whole words. Hexadecimal digits are
    no sign: digests and commits are public.
    """
    kinds = [_kind(character) for character in run]
    if not {"a", "A", "0"} <= set(kinds):
        return False
    # What parts a path into its names is no change of kind.
    pairs = [pair for pair in pairwise(kinds) if "+" not in pair]
    counts = Counter(run).values()
    entropy = -sum(count / len(run) * math.log2(count / len(run)) for count in counts)
    return sum(one != other for one, other in pairs) >= 0.45 * len(pairs) and entropy >= 3.8


def _kind(character: str) -> str:
    if character.isdigit():
        return "0"
    return ("a" if character.islower() else "A") if character.isalpha() else "+"
