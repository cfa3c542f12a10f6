"""Preference training: a LoRA copy of the base by TRL's DPO trainer (arXiv 2305.18290), on pairs of base samples.

    copy, report = train_copy(handle, rollouts, settings, streams)
    copy.policy                            # a handle over a second copy of the base, LoRA merged in
    copy.save(folder); load_copy(handle, folder)

Completions are trained on as the policy wrote them, token by token: none gets an end it did not have. The base in
memory is never touched. Needs trl and peft, which are imported only here, when they are used.
"""

import importlib.util
import io
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from harness.core.errors import UserError
from harness.core.models.handle import PolicyHandle
from harness.core.streams import Streams
from harness.core.types import Candidate, FitReport

INSTALL = "pip install 'iro-harness[dpo]' (in this checkout: pip install -e '.[dpo]')"


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DpoSettings:
    beta: Annotated[float, Field(gt=0, description="strength of the tie to the base (paper: 0.1)")] = 0.1
    learning_rate: Annotated[float, Field(gt=0, description="of LoRA's weights (harness)")] = 2e-4
    epochs: Annotated[int, Field(ge=1, description="passes over the pairs (TRL: 3; harness)")] = 1
    batch: Annotated[int, Field(ge=1, description="pairs a step (harness)")] = 8
    rank: Annotated[int, Field(ge=1, description="LoRA's r; alpha is twice that (harness)")] = 16


def unavailable(model: str) -> str | None:
    """Why preference training cannot run here, and what to do; None where it can."""
    if model == "toy":
        return "the toy has no weights to train"
    missing = [name for name in ("trl", "peft") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: {INSTALL}" if missing else None


@dataclass(frozen=True)
class TunedCopy:
    policy: PolicyHandle  # over a second copy of the base with LoRA's weights merged in
    files: Mapping[str, bytes]  # LoRA's, by name

    def save(self, folder: Path) -> None:
        _write_files(self.files, folder)


@dataclass(frozen=True)
class Trained:
    copy: TunedCopy
    report: FitReport  # loss, accuracy and margin of every step


def train_copy(
    policy: PolicyHandle, rollouts: Sequence[Candidate], config: DpoSettings, streams: Streams, refit: int = 0
) -> Trained:
    """Train a copy on the best against the worst rollout of every prompt.

    Booked as tokens read, three for a trained one.
    """
    pairs, seed = pairs_of(rollouts), int(streams.generator("dpo", row=refit).integers(2**31))
    rows = [
        {
            "prompt_ids": list(policy.encode(best.completion.prompt)),
            "chosen_ids": list(best.completion.tokens),
            "rejected_ids": list(worst.completion.tokens),
        }
        for best, worst in pairs
    ]
    model, tokenizer = policy.untouched_model()
    files, history = _run_trainer(model, tokenizer, rows, config, seed)
    tokens = sum(2 * len(r["prompt_ids"]) + len(r["chosen_ids"]) + len(r["rejected_ids"]) for r in rows)
    policy.book_training(tokens * (1 + 3 * config.epochs), len(history))  # the reference reads them once
    gap = float(np.mean([best.reward - worst.reward for best, worst in pairs]))
    choices = {"rollouts": len(rollouts), "train_prompts": len(pairs), "reward_gap": gap}
    return Trained(_merged(policy, files), FitReport(choices, history))


def load_copy(policy: PolicyHandle, folder: Path) -> TunedCopy:
    """What `TunedCopy.save` wrote, over the same base."""
    return _merged(policy, _read_files(folder))


def pairs_of(rollouts: Sequence[Candidate]) -> list[tuple[Candidate, Candidate]]:
    """The best and the worst rollout of every prompt where they differ in reward, by prompt id."""
    by_prompt: dict[str, list[Candidate]] = {}
    for candidate in rollouts:
        if not np.isnan(candidate.reward):
            by_prompt.setdefault(candidate.completion.prompt.id, []).append(candidate)
    pairs = []
    for _, group in sorted(by_prompt.items()):
        worst, *_, best = sorted(group, key=lambda c: c.reward) if len(group) > 1 else group * 2
        if best.reward > worst.reward:
            pairs.append((best, worst))
    if not pairs:
        raise UserError("no prompt has two base samples of different reward; raise fit.samples or fit.prompts")
    return pairs


def _merged(policy: PolicyHandle, files: Mapping[str, bytes]) -> TunedCopy:
    from peft import PeftModel

    with tempfile.TemporaryDirectory() as folder:
        _write_files(files, Path(folder))
        model = PeftModel.from_pretrained(policy.untouched_model()[0], folder).merge_and_unload()
    return TunedCopy(policy.over(model, "dpo"), files)


def _write_files(files: Mapping[str, bytes], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _run_trainer(
    model: Any, tokenizer: Any, rows: list[dict[str, list[int]]], config: DpoSettings, seed: int
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    class Trainer(DPOTrainer):  # type: ignore[misc]  # trl has no types
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset  # token ids already; the trainer would tokenize texts again and end each of them

    on_cpu = model.device.type == "cpu"
    options = {field.name for field in fields(DPOConfig)}
    checkpointing = f"{'activation' if 'activation_checkpointing' in options else 'gradient'}_checkpointing"
    notices = io.StringIO()  # progress bars and notices of the libraries
    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(), redirect_stderr(notices), catch_warnings():
        simplefilter("ignore", FutureWarning)
        arguments = DPOConfig(
            output_dir=folder,
            beta=config.beta,
            learning_rate=config.learning_rate,
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch,
            precompute_ref_log_probs=True,
            max_length=None,
            use_cpu=on_cpu,
            bf16=model.dtype == torch.bfloat16,
            **{checkpointing: False},
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            seed=seed,
        )
        lora = LoraConfig(r=config.rank, lora_alpha=2 * config.rank, target_modules="all-linear", task_type="CAUSAL_LM")
        trainer = Trainer(
            model, args=arguments, train_dataset=Dataset.from_list(rows), processing_class=tokenizer, peft_config=lora
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        trainer.model.save_pretrained(Path(folder, "adapter"))
        files = _read_files(Path(folder, "adapter"))
    columns = {"loss": "loss", "accuracy": "rewards/accuracies", "margin": "rewards/margins"}
    steps = [log for log in trainer.state.log_history if "loss" in log]
    history = [{"step": log["step"], **{name: log[key] for name, key in columns.items()}} for log in steps]
    return files, history
