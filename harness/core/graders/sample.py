"""An answer as OpenAI's graders see it.

sample_of("{}")     # {"output_text": "{}", "output_json": {}, "output_tools": [], "choices": [...]}
"""

import json
from typing import Any

SAMPLE = ("output_text", "output_json", "output_tools", "choices")


def sample_of(response: str) -> dict[str, Any]:
    """OpenAI's `sample`: output_json is there where the answer is JSON; the lists are as in a chat completion."""
    message = {"role": "assistant", "content": response}
    sample: dict[str, Any] = {
        "output_text": response,
        "output_tools": [],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    try:
        return {**sample, "output_json": json.loads(response)}
    except (ValueError, RecursionError):
        return sample
