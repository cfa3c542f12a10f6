"""Which model of which server is meant: `--model openai:BASE_URL#MODEL`.

address_of("openai:http://127.0.0.1:8080/v1#llama-3-8b")        # Address("http://127.0.0.1:8080/v1", "llama-3-8b")
is_served("openai:...")                                         # whether a --model means a server at all
without_url("openai:http://127.0.0.1:8080/v1#llama-3-8b")       # "openai:#llama-3-8b", as runs are asked for it

Where a server stands is no part of what a run is: URL and port are in no hash.
"""

import os
from dataclasses import dataclass

from harness.core.api.url import checked_url
from harness.core.errors import UserError

SERVED = "openai:"
BASE_URL = "OPENAI_BASE_URL"  # which the openai library reads, too
_FORM = "write openai:BASE_URL#MODEL, for instance openai:http://127.0.0.1:8080/v1#llama-3-8b"


@dataclass(frozen=True)
class Address:
    url: str
    name: str

    @property
    def root(self) -> str:
        """The URL above /v1, where servers have what is not OpenAI's."""
        return self.url.removesuffix("/v1")


def is_served(model: str) -> bool:
    return model.startswith(SERVED)


def address_of(model: str) -> Address:
    """Raises UserError for what has another form, or a secret in it.

    A model without a URL, as stored runs have it, stands where the variable OPENAI_BASE_URL says.
    """
    url, hash_sign, name = model.removeprefix(SERVED).partition("#")
    if is_served(model) and name and not url:
        url = os.environ.get(BASE_URL, "").strip()
        if not url:
            raise UserError(
                f"--model {model!r} does not say where its server stands; {_FORM}, or export {BASE_URL} with its URL"
            )
        return Address(checked_url(url, BASE_URL), name.strip())
    if not is_served(model) or not hash_sign or not name.strip():
        checked_url(url, "--model")  # says first what would be a secret
        raise UserError(f"--model {model!r} names no server and model; {_FORM}")
    return Address(checked_url(url, "--model"), name.strip())


def without_url(model: str) -> str:
    """A model as it enters what was asked; of any other kind, itself."""
    return f"{SERVED}#{model.partition('#')[2]}" if is_served(model) else model
