"""What other libraries say stays off the screen; what we and the user's own files say does not."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running.test_identity import save_model

ROOT = Path(__file__).parents[2]
NOISY = """
import logging
import sys
import warnings
import numpy as np
import torch
import datasets
import huggingface_hub
import transformers
from tqdm.auto import tqdm
from harness.core.task import Task
from harness.core.types import Prompt

class Noisy(Task):
    default_model = "model"
    profiles = {"quick": {"sampler": {"max_new_tokens": 4}, "fit": {"prompts": 4, "samples": 2},
                          "evaluate": {"prompts": 3}}}

    def examples(self):
        return [Prompt(str(i), text=f"text {i}") for i in range(40)]

    def reward(self):
        return lambda completions: np.array([len(c.text) + 0.1 * i for i, c in enumerate(completions)])

    def score(self, completions):
        for name in ("transformers.modeling_utils", "datasets.builder", "huggingface_hub", "torch.x", "trl", "lm_eval"):
            logging.getLogger(name).error("NOISE of %s", name)
        transformers.utils.logging.get_logger("transformers.later").warning("NOISE")
        datasets.logging.get_logger("datasets.later").warning("NOISE")
        datasets.Dataset.from_list([{"a": 1}] * 9).map(lambda row: row, desc="NOISE")
        for bar in (tqdm, huggingface_hub.utils.tqdm, transformers.utils.logging.tqdm):
            list(bar(range(3), desc="NOISE"))
        for module in (torch, transformers, sys.modules["harness.core.task"], logging):
            warnings.warn_explicit("NOISE", UserWarning, module.__file__, 1)
        warnings.warn("said by my own file")
        logging.getLogger("mine").warning("logged by my own file")
        return {"gold_reward": np.array([float(len(c.tokens)) + 0.01 * len(c.text) for c in completions])}
"""


@pytest.mark.slow
def test_stderr_of_a_run_on_a_real_model_holds_our_lines_and_the_users_alone(tmp_path, tiny):
    save_model(tmp_path / "model", tiny.tokenizer, seed=0)
    (tmp_path / "noisy.py").write_text(NOISY, encoding="utf-8")
    command = [sys.executable, "-m", "harness", "run", "--task", "noisy.py:Noisy", "--method", "iro"]
    command += ["--set", "iro.iterations=1", "--set", "fit.prompts=6", "--workers", "1"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TQDM", "TRANSFORMERS"))}
    environment = {**kept, "HARNESS_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "NOISE" not in done.stderr + done.stdout
    assert "UserWarning: said by my own file" in done.stderr and "logged by my own file" in done.stderr
    ours = re.compile(
        r"noisy-\w+: .*|stages? .*|\d+ stages? .*|.*noisy\.py:\d+: UserWarning: said by my own file"
        r'|  warnings.warn\("said by my own file"\)|logged by my own file|warning: .*'
    )
    assert [line for line in done.stderr.splitlines() if not ours.fullmatch(line)] == []
