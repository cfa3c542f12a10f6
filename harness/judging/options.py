"""The options of `python -m harness judge`, and the judge they name. Heavy imports wait until one is asked for."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any

from harness.core.api.secrets import require_no_secret
from harness.core.errors import UserError, unknown
from harness.core.files import cache_folder
from harness.core.yaml_text import read_yaml

if TYPE_CHECKING:
    from harness.judging.judges import Judge

_CHAT = ("model", "endpoint", "key_variable", "template", "request", "parallel", "tries", "wait", "timeout")
_PATIENCE = ("parallel", "tries", "wait", "timeout")
_ROWS = ("method", "iteration", "final_pick", "opponent_method", "opponent_iteration", "opponent_final_pick")


def add_judge_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", help="path, id or its beginning, name, or latest")
    parser.add_argument(
        "--opponent", help="base, best_of_n, reference (the human text) or a stored run (default: base)"
    )
    parser.add_argument("--judge", help="gold, reward:NAME (a stored metric) or llm (default: gold)")
    for prefix, whose in (("", "rows of RUN (default: all)"), ("opponent-", "of the opponent's row, if it is a run")):
        parser.add_argument(f"--{prefix}method", help=f"method, {whose}")
        parser.add_argument(f"--{prefix}iteration", type=int, help=f"iteration, {whose}")
        parser.add_argument(f"--{prefix}final-pick", help=f"final pick, {whose}")
    chat = parser.add_argument_group("--judge llm: any OpenAI-compatible chat endpoint")
    chat.add_argument("--model", help="its name at the endpoint")
    chat.add_argument("--endpoint", help="URL up to /v1 (default: OpenAI's)")
    chat.add_argument("--key-variable", help="environment variable of the key (default: OPENAI_API_KEY for OpenAI's)")
    chat.add_argument(
        "--template", type=Path, help="file with {prompt}, {answer_a}, {answer_b} (default: the harness's)"
    )
    chat.add_argument(
        "--request",
        action="append",
        metavar="NAME=VALUE",
        help="a field of the request, null to leave it out (default: temperature=0, max_tokens=512)",
    )
    chat.add_argument("--parallel", type=int, help="questions at a time (default: 4)")
    chat.add_argument("--tries", type=int, help="tries for one answer (default: 6)")
    chat.add_argument("--wait", type=float, help="seconds before the second try, then doubled (default: 1)")
    chat.add_argument("--timeout", type=float, help="seconds for one answer (default: 120)")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write AlpacaEval's files there as well")
    parser.add_argument(
        "--import", type=Path, metavar="FILE", dest="annotations", help="AlpacaEval's annotations instead"
    )
    parser.add_argument("--dry-run", action="store_true", default=None, help="say what would be judged, and ask nobody")
    parser.add_argument("--full", action="store_true", help="print the whole report.md instead of a screen of it")


def chosen_judge(arguments: argparse.Namespace) -> "Judge":
    """The judge of --judge. Raises UserError for an unknown one, and for options that belong to another."""
    from harness.evidence.schema import GOLD
    from harness.judging.judges import GOLD_JUDGE, REWARD_JUDGE, ScoreJudge

    kind, _, metric = (arguments.judge or "gold").partition(":")
    if kind != "llm" and (given := _given(arguments, _CHAT)):
        raise UserError(f"{given[0]} belongs to --judge llm, but the judge is {arguments.judge or 'gold'}")
    match kind, metric:
        case "gold", "":
            return ScoreJudge(GOLD, GOLD_JUDGE)
        case "llm", "":
            return _chat_judge(arguments)
        case "reward", name if name:
            return ScoreJudge(name, f"{REWARD_JUDGE}{name}")
    raise unknown("judge", arguments.judge, ["gold", "reward:NAME, such as reward:proxy_reward", "llm"])


def require_import_alone(arguments: argparse.Namespace) -> None:
    """Raises UserError where --import comes with options that would judge something."""
    if given := _given(arguments, ("run", "opponent", "judge", "dry_run", *_ROWS, *_CHAT)):
        raise UserError(f"--import shows judgements that were made elsewhere and takes no {', '.join(given)}")


def _chat_judge(arguments: argparse.Namespace) -> "Judge":
    from harness.core.api.client import Patience
    from harness.core.api.url import OPENAI
    from harness.core.chat.chat import Chat, Endpoint
    from harness.judging.judges import TEMPLATE, ChatJudge, read_template

    if not arguments.model:
        raise UserError("--judge llm needs --model, the name of a chat model at the endpoint")
    patience = {name: vars(arguments)[name] for name in _PATIENCE if vars(arguments)[name] is not None}
    for name, value in patience.items():
        if not 0 < value < TIMEOUT_MAX:
            raise UserError(f"--{name} {value}: give more than 0, and not endlessly many")
    chosen = dict(map(_field, arguments.request or []))
    endpoint = Endpoint.asked_for(arguments.endpoint or OPENAI, arguments.model, chosen)
    chat = Chat(endpoint, cache_folder(), Patience(**patience), arguments.key_variable)
    return ChatJudge(chat, read_template(arguments.template or TEMPLATE))


def _field(text: str) -> tuple[str, Any]:
    """'max_tokens=100' -> ('max_tokens', 100); the value is YAML, so null leaves the field out."""
    name, equals, value = text.partition("=")
    if not equals or not name or name in ("model", "messages"):
        raise UserError(f"--request {text!r}: write a field as name=value, for instance --request max_tokens=100")
    require_no_secret("--request", name, value)
    read = read_yaml(value, f"--request {text!r}: the value")
    require_no_secret("--request", name, read)
    try:
        json.dumps(read, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"--request {text!r}: the value cannot be sent as JSON ({error}); put it in quotes") from error
    return name, read


def _given(arguments: argparse.Namespace, names: Sequence[str]) -> list[str]:
    found = [name for name in names if vars(arguments)[name] is not None]
    return [name.upper() if name == "run" else f"--{name.replace('_', '-')}" for name in found]
