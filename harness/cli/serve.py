"""`harness serve`: an aligned folder, or what a run fitted, behind an OpenAI-compatible endpoint."""

import argparse
from importlib.util import find_spec

from harness.cli.command import Command
from harness.cli.options import add_key_option, add_out
from harness.core.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="DIR", help="a folder of `align`, or a run: path, id or its beginning, name, latest"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1); any other than "
                        "a local one needs a token in HARNESS_SERVE_TOKEN")  # fmt: skip
    parser.add_argument("--port", type=int, default=8000, help="port (default: 8000; 0: any that is free)")
    parser.add_argument("--model", help="where the model lies now (default: where it lay)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--most-tokens", type=int, default=4096, help="longest answer (default: 4096 tokens)")
    parser.add_argument("--most-waiting", type=int, default=256, help="answers that may stand in line (default: 256)")
    add_key_option(parser)
    add_out(parser)


def run(arguments: argparse.Namespace) -> None:
    if missing := [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]:
        raise UserError(f"`harness serve` needs {', '.join(missing)}: pip install 'iro-harness[serve]'")
    for name in ("most_tokens", "most_waiting"):
        if vars(arguments)[name] < 1:
            raise UserError(f"--{name.replace('_', '-')} {vars(arguments)[name]}: give at least 1")
    from harness.core.api.use import Use
    from harness.serve.http.asked import Limits
    from harness.serve.http.models import open_models
    from harness.serve.http.server import read_token, serve
    from harness.serve.opening import fitted_folder

    read_token(arguments.host)  # before minutes of loading
    folder, use = fitted_folder(arguments.run, arguments.out), Use(arguments.key_variable)
    models = open_models(folder, arguments.model, arguments.device, use)
    limits = Limits(max_tokens=arguments.most_tokens, waiting=arguments.most_waiting)
    serve(models, arguments.host, arguments.port, limits)


COMMAND = Command(
    "serve",
    "an OpenAI-compatible endpoint",
    "serve latest --port 8000",
    add_options,
    run,
)
