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

REFUSED = ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation")

GIVE_CREDENTIALS = "give credentials of the stage's account as any AWS tool takes them, for one with AWS_PROFILE"
"""What helps against BAD_CREDENTIALS."""
