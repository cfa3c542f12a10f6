"""What may be a secret: names of fields that hold keys, and texts that look like one. Neither gets into a file.

require_no_secret("--request", "api_key", "...")      # UserError, without the value
"""

import re
from collections.abc import Mapping
from typing import Any

from harness.core.errors import UserError

_NAMES = re.compile(
    r"(^|_)((api)?key|secret|password|passwd|passphrase|auth|authorization|bearer|credentials?|cookies?|token)$"
)
_OF_TEXTS = re.compile(  # tokens that are parts of texts: stop_token, think_end_token, logprobs_per_token
    r"(^|_)(stop|bos|eos|eot|pad|unk|sep|cls|mask|start|begin|end|first|next|last|special|image|audio|per|think\w*)_token$"
)
_LIKE_A_KEY = re.compile(
    r"(?<![A-Za-z0-9])((sk|pk|rk|hf|gsk|xai|r8|nvapi|ghp|github_pat|glpat)[-_][A-Za-z0-9_\-]{16,}|AIza[A-Za-z0-9_\-]{30,})"
)
_BEARER = re.compile(r"^\s*bearer\s+\S", re.IGNORECASE)


def looks_secret(text: str) -> bool:
    """Whether a text has the form of a key that some provider gives out."""
    return bool(_LIKE_A_KEY.search(text) or _BEARER.match(text))


def require_no_secret(where: str, name: str, value: Any) -> None:
    """Raises UserError where a field of a request, or one inside it, would be a secret; its value is not shown."""
    words = _in_words(name)
    if _NAMES.search(words) and not _OF_TEXTS.search(words):
        raise UserError(
            f"{where}: {name} is a secret, and fields of requests are written into files; leave it out, export the key "
            "as an environment variable and name that with --key-variable"
        )
    if isinstance(value, Mapping):
        for inner, below in value.items():
            require_no_secret(where, str(inner), below)
    elif isinstance(value, list | tuple):
        for one in value:
            require_no_secret(where, "", one)
    elif isinstance(value, str) and looks_secret(value):
        raise UserError(
            f"{where}: the value of {name or 'a field'} looks like a key, and fields of requests are written into "
            "files; export the key as an environment variable and name that with --key-variable"
        )


def _in_words(name: str) -> str:
    """apiKey and api-key -> api_key."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
