"""Which prompts of a file belong together: the value of a column, such as a customer, whose prompts are alike.

require_clusters(data, "customer")     # raises UserError where a row has none
cluster_of(prompt, "customer")         # "Ada"
"""

import json

from harness.core.data.prompts import Data
from harness.core.errors import UserError, unknown
from harness.core.types import Prompt


def require_clusters(data: Data, column: str) -> None:
    """Raises UserError for a column that no row has, or not every row, and for values that name nothing."""
    if column not in data.columns:
        raise unknown("column for --cluster", column, data.columns)
    for prompts in data.prompts.values():
        for prompt in prompts:
            value = prompt.row.get(column)
            if value is None or value == "":
                raise UserError(
                    f"{data.where[prompt.id]} has no {column}, by which --cluster puts prompts together; give every "
                    "row one, such as a value of its own where it belongs to no other"
                )
            if not isinstance(value, str | int | float):
                raise UserError(
                    f"{data.where[prompt.id]}: {column} is a {type(value).__name__}, and --cluster puts prompts "
                    "together by texts or numbers"
                )


def cluster_of(prompt: Prompt, column: str) -> str:
    """As text; a number is another cluster than the text that shows it."""
    value = prompt.row[column]
    return value if isinstance(value, str) else json.dumps(value)
