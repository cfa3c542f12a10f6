"""The methods, by name. A new method is one file and one line here."""

from harness.core.generator import Generator
from harness.methods.args import Args
from harness.methods.base import Base
from harness.methods.best_of_n import BestOfN
from harness.methods.cards import Cards
from harness.methods.controlled_decoding import ControlledDecoding
from harness.methods.dpo import Dpo
from harness.methods.iro import Iro
from harness.methods.weak_to_strong import WeakToStrong

METHODS: dict[str, type[Generator]] = {
    "base": Base,
    "best_of_n": BestOfN,
    "args": Args,
    "controlled_decoding": ControlledDecoding,
    "cards": Cards,
    "iro": Iro,
    "weak_to_strong": WeakToStrong,
    "dpo": Dpo,
}
