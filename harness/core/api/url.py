"""The URL of a server, which is written into files and messages, and so must hold no secret.

checked_url("http://127.0.0.1:8080/v1", "--endpoint")
"""

from urllib.parse import urlsplit

from harness.core.api.secrets import looks_secret
from harness.core.errors import UserError

OPENAI = "https://api.openai.com/v1"
_SUCH_AS = "give one such as http://127.0.0.1:8080/v1"


def checked_url(url: str, option: str) -> str:
    """The URL without a slash at its end.

    Raises UserError, which names the option, for what is none or would carry a secret into files.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UserError(f"{option} is no URL ({error}); {_SUCH_AS}") from error
    if parts.username is not None or parts.query or parts.fragment:
        raise UserError(
            f"{option} holds a user, password, query or fragment; give keys in the variable of --key-variable"
        )
    if any(looks_secret(part) for part in (parts.netloc, *parts.path.split("/"))):
        raise UserError(f"{option} holds what looks like a key; give keys in the variable of --key-variable")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{option} {url!r} is no URL; {_SUCH_AS}")
    if not url.isprintable() or " " in url:
        raise UserError(f"{option} {url!r} is no URL (it holds blanks); {_SUCH_AS}")
    try:
        _ = parts.port
        if not parts.hostname.startswith("[") and ":" not in parts.hostname:
            parts.hostname.encode("idna")
    except ValueError as error:  # UnicodeError is one
        raise UserError(f"{option} {url!r} is no URL (Failed to parse: {error}); {_SUCH_AS}") from error
    return url.rstrip("/")
