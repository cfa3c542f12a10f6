"""The methods, by name. A new method is one file and one line here; a class is imported when it is asked for."""

from typing import TYPE_CHECKING

from harness.core.registry import Registry

if TYPE_CHECKING:
    from harness.core.generator import Generator

METHODS: "Registry[Generator]" = Registry(
    "method",
    "harness.core.generator:Generator",
    "harness.methods",
    {
        "base": "harness.methods.base:Base",
        "base_greedy": "harness.methods.base_greedy:BaseGreedy",
        "best_of_n": "harness.methods.best_of_n:BestOfN",
        "args": "harness.methods.args:Args",
        "controlled_decoding": "harness.methods.controlled_decoding:ControlledDecoding",
        "cards": "harness.methods.cards:Cards",
        "iro": "harness.methods.iro:Iro",
        "weak_to_strong": "harness.methods.weak_to_strong:WeakToStrong",
        "dpo": "harness.methods.dpo:Dpo",
    },
)
