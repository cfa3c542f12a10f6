"""How methods are called where people read them: tables on the screen, figures, pages.

display_name("weak_to_strong")     # "weak-to-strong"
"""

_NAMES = {
    "base": "base",
    "base_greedy": "base (greedy)",
    "best_of_n": "best-of-n",
    "iro": "IRO",
    "args": "ARGS",
    "controlled_decoding": "controlled decoding",
    "cards": "CARDS",
    "weak_to_strong": "weak-to-strong",
    "dpo": "DPO",
}


def display_name(method: str) -> str:
    """A method's name for people; one that is not shipped as it is, with blanks for underscores."""
    return _NAMES.get(method, method.replace("_", " "))
