"""YAML as users write it: what is no YAML is named with its line, and a name given twice is refused.

read_yaml("iro: {width: 4}", "--config 'mine.yaml'")     # {"iro": {"width": 4}}
written_yaml([1, None, "on"])                            # "[1, null, 'on']", which reads as the same again
"""

import json
from itertools import pairwise
from typing import Any

import yaml

from harness.core.errors import UserError

_LARGEST = 1024  # bits


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Plain data; of two equal names YAML's own would silently keep the last, and aliases could hold themselves."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.deep_construct = True  # then an alias inside what it stands for is an error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [name for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        for name, later in pairwise(sorted(names, key=lambda name: name.value)):
            if name.value == later.value:
                raise yaml.constructor.ConstructorError(None, None, f"{name.value!r} is there twice", later.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    """Python writes no number of more than 4,300 digits, and nobody means one."""
    number: int = yaml.SafeLoader.construct_yaml_int(loader, node)
    if number.bit_length() > _LARGEST:
        raise yaml.constructor.ConstructorError(None, None, "this number is too large", node.start_mark)
    return number


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)


def read_yaml(text: str, what: str) -> Any:
    """The data of a text. Raises UserError, which begins with `what`, where it is no YAML."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{what} is no YAML: {error.problem}{line}") from error
    except RecursionError as error:
        raise UserError(f"{what} is no YAML that can be read: it is nested too deep") from error
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, LookupError) as error:  # of what a tag claims to be,
        raise UserError(f"{what} is no YAML: {str(error).splitlines()[0]}") from error  # as a date such as 2026-13-45


def written_yaml(value: Any) -> str:
    """One line that `read_yaml` reads as `value`: plain data, where a tuple is a list."""
    data = list(value) if isinstance(value, tuple) else value
    text: str = yaml.safe_dump(data, default_flow_style=True, allow_unicode=True, width=float("inf"))
    line = text.removesuffix("\n").removesuffix("\n...")
    return json.dumps(data) if "\n" in line else line  # a text of several lines, which JSON writes in one
