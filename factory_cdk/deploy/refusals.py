"""Which of AWS's refusals mean that the credentials are wrong, and which that they lack a permission."""

from __future__ import annotations

BAD_CREDENTIALS = (
    "NoCredentialsError",
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "ProfileNotFound",
    "ConfigParseError",
    "TokenRetrievalError",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "ExpiredTokenException",
    "ExpiredToken",
    "RequestExpired",
    "InvalidClientTokenId",
    "AuthFailure",
    "LoginRefreshRequired",
)

REFUSED = ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "403")
"""The last is all that S3 says to who asks for the head of an object or a bucket."""

GIVE_CREDENTIALS = "give credentials of the stage's account as any AWS tool takes them, for one with AWS_PROFILE"
"""What helps against BAD_CREDENTIALS."""


def remedy_of(code: str, action: str) -> str:
    """What helps against a refusal with the error `code`; `action` is the permission that is needed."""
    if code in BAD_CREDENTIALS:
        return GIVE_CREDENTIALS
    if code in REFUSED:
        return f"these credentials need {action}; with that, run the same command again"
    return "check the network and AWS's health, then run the same command again"
