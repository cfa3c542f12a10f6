"""Where randomness comes from: streams keyed by (seed, purpose, prompt id, row), never by method or by batch.

Two methods that sample the same prompt with the same seed draw the same numbers, so comparisons are paired, and
neither the order of prompts nor the number of workers can change a result.
"""

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Streams:
    seed: int

    def generator(self, purpose: str, prompt_id: str = "", row: int = 0) -> np.random.Generator:
        """The stream of one row of one prompt; asking twice gives the same stream from its start."""
        key = f"{self.seed}\x1f{purpose}\x1f{prompt_id}\x1f{row}".encode()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(key).digest()[:16], "little")))

    def uniforms(self, purpose: str, prompt_id: str, rows: int, length: int) -> np.ndarray:
        """(rows, length) numbers in [0, 1): number t of a row decides its token t."""
        return np.stack([self.generator(purpose, prompt_id, row).random(length) for row in range(rows)])
