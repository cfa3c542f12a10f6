"""Writes the 600 prompts of support.jsonl and the grader support_grader.json beside it.

python tasks/examples/make_support.py

The prompts are composed of what customers want, of what they bought and of how they say it; `reference_answer` says
what an answer has to mention, each in one of several ways.
"""

import json
import random
from pathlib import Path

HERE = Path(__file__).parent
COUNT, SEED = 600, 0
SYSTEM = "You answer customers of a small online shop. Be brief, polite and concrete."
PRODUCTS = (
    "kettle", "desk lamp", "backpack", "rain jacket", "pair of headphones", "coffee grinder", "bicycle light",
    "blender", "tent", "office chair", "set of knives", "wool blanket", "camera strap", "board game", "plant pot",
    "yoga mat",
    "travel mug", "keyboard", "wall clock", "toaster", "suitcase", "picture frame", "garden hose", "alarm clock",
)  # fmt: skip
OPENINGS = (
    "Hello,", "Hi there,", "Good morning,", "I am getting impatient.", "This is my second message.", "Quick question:",
    "I hope you can help.", "I have never had this before.",
)  # fmt: skip
CLOSINGS = (
    "What should I do?", "What happens now?", "How long does that take?", "Can you help me?", 
    "Please tell me what to do.",
    "Is there anything you need from me?",
)  # fmt: skip
TOPICS = {  # what customers say of a {thing}, and what an answer has to mention
    "late": (
        (
            "my {thing} should have come last week and is not here.",
            "the parcel with the {thing} has not moved for days.",
        ),
        [["track", "carrier", "parcel", "shipment"], ["order number", "check", "look into"]],
    ),
    "refund": (
        ("I sent the {thing} back and have no money yet.", "I would like my money back for the {thing}."),
        [["refund", "money back"], ["days", "week"]],
    ),
    "broken": (
        ("the {thing} arrived broken.", "the {thing} stopped working after two days."),
        [["replace", "refund", "repair"], ["photo", "picture", "order number", "return"]],
    ),
    "wrong": (
        ("I ordered a {thing} and got something else.", "the {thing} has the wrong colour."),
        [["exchange", "replace", "return", "correct"], ["label", "send", "order number"]],
    ),
    "cancel": (
        ("I ordered a {thing} this morning and want to cancel.", "please stop my order of the {thing}."),
        [["cancel"], ["order number", "shipped", "refund"]],
    ),
    "address": (
        ("I gave the wrong address for my {thing}.", "I moved, and the {thing} goes to my old home."),
        [["address"], ["update", "change", "order number"]],
    ),
    "invoice": (
        ("I need an invoice for the {thing}.", "the invoice for the {thing} has the wrong name."),
        [["invoice"], ["email", "e-mail", "send", "account"]],
    ),
    "code": (
        ("my discount code does not work for the {thing}.", "I forgot to enter my discount code for the {thing}."),
        [["code", "discount"], ["order", "checkout", "apply"]],
    ),
    "warranty": (
        ("how long is the warranty of the {thing}?", "is a broken {thing} still under warranty after a year?"),
        [["warranty"], ["year", "months"]],
    ),
    "stock": (
        ("when is the {thing} back in stock?", "the {thing} is sold out, and I need it for a birthday."),
        [["stock", "available"], ["notify", "email", "e-mail", "date", "week"]],
    ),
}


def rows() -> list[dict[str, object]]:
    """Distinct prompts, as many of every topic."""
    rng = random.Random(SEED)
    found: dict[str, dict[str, object]] = {}
    topics = list(TOPICS)
    while len(found) < COUNT:
        topic = topics[len(found) % len(topics)]
        ways, mention = TOPICS[topic]
        said = rng.choice(ways).format(thing=rng.choice(PRODUCTS))
        opening = rng.choice(OPENINGS)
        if opening[-1] != ",":
            said = said[0].upper() + said[1:]
        question = f"{opening} {said} {rng.choice(CLOSINGS)}"
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        row: dict[str, object] = {"messages": messages, "reference_answer": {"mention": mention}, "topic": topic}
        found.setdefault(question, row)
    return list(found.values())


def grader() -> dict[str, str]:
    """OpenAI's python grader, whose source is support.py."""
    return {"type": "python", "name": "helpful", "source": (HERE / "support.py").read_text(encoding="utf-8")}


if __name__ == "__main__":
    lines = "".join(f"{json.dumps(row)}\n" for row in rows())
    (HERE / "support.jsonl").write_text(lines, encoding="utf-8")
    (HERE / "support_grader.json").write_text(json.dumps(grader(), indent=1) + "\n", encoding="utf-8")
