"""The default keys and patterns, used if the settings do not replace them.

This module imports nothing, so that a site's settings can import it and add to the defaults.
"""

from __future__ import annotations

__all__ = ["DEFAULT_KEYS", "DEFAULT_PATTERNS"]

#: Names of secrets. Only letters and digits count, so ``*apikey*`` also matches
#: ``X-Api-Key`` and ``api_key``.
DEFAULT_KEYS = (
    "*password*",
    "*passwd*",
    "*passphrase*",
    "*passcode*",
    "*pwd",
    "*secret*",
    "*token",
    "*apikey*",
    "*accesskey*",
    "*privatekey*",
    "*signingkey*",
    "*encryptionkey*",
    "auth",
    "jwt",
    "*authorization",
    "*credential*",
    "cookie",
    "cookies",
    "setcookie",
    "sessionid",
    "sessionkey",
    "*cardnumber*",
    "creditcard",
    "cvc",
    "cvc2",
    "cvv",
    "cvv2",
    "otp",
    "pin",
)

#: Texts that look like a secret, whatever their name.
DEFAULT_PATTERNS = (
    # Headers, whose values extend to the end of the line.
    r"(?:[Aa]uthorization|AUTHORIZATION)[\"']?\s*[:=]\s*[\"']?(?P<secret>[^\s\"'\\][^\r\n\"'\\]*)",
    r"(?:[Cc]ookie|COOKIE)[\"']?:\s*[\"']?(?P<secret>[^\s\"'\\][^\r\n\"'\\]*)",
    r"(?:[Bb]earer|BEARER|[Bb]asic|BASIC)\s+(?P<secret>[A-Za-z0-9._~+/-]{8,}=*)",
    # The password in a URL, which may contain an unescaped @.
    r"://[^\s/:@]*:(?P<secret>[^\s/]+)@",
    # JSON Web Tokens (RFC 7519).
    r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*",
    # Keys whose prefix names the issuer: AWS, GitHub, GitLab, Google, Slack, Stripe and others.
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\b(?:gh[pousr]|github_pat)_\w{20,}",
    r"\bglpat-[\w-]{20,}",
    r"\bAIza[\w-]{35}",
    r"\bxox[abeprs]-[\w-]{10,}",
    r"\b[rs]k[-_](?:live|test|ant|proj)[-_][\w-]{10,}",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
)
