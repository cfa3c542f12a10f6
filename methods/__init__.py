"""The methods, by name. A new method is one file and one line here."""

from harness.core.generator import Generator
from methods.args import Args
from methods.base import Base
from methods.best_of_n import BestOfN
from methods.cards import Cards
from methods.controlled_decoding import ControlledDecoding
from methods.dpo import Dpo
from methods.iro import Iro
from methods.weak_to_strong import WeakToStrong

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
