"""What a method is called where people read it: figures, tables on a screen, pages.

display_name("controlled_decoding")      # "controlled decoding"
"""

_NAMES = {
    "iro": "IRO",
    "best_of_n": "best-of-n",
    "args": "ARGS",
    "controlled_decoding": "controlled decoding",
    "cards": "CARDS",
    "weak_to_strong": "weak-to-strong",
    "dpo": "DPO",
    "base": "base",
    "base_greedy": "base (greedy)",
}


def display_name(method: str) -> str:
    """A method's name as papers write it; one of somebody's own as it is, underscores as blanks."""
    return _NAMES.get(method) or method.replace("_", " ")
