"""The formula of OpenAI's multi grader over the names of its parts; nothing in it is ever run as Python.

formula = Formula.of("0.8 * accuracy + 0.2 * min(style, 0.5) ^ 2", ["accuracy", "style"], "calculate_output")
formula.value({"accuracy": 1.0, "style": 0.5})      # 0.85
"""

import ast
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from harness.core.errors import UserError, unknown

FUNCTIONS: dict[str, Callable[..., float]] = {  # log is the natural one
    "min": lambda *of: min(of), "max": lambda *of: max(of), "abs": abs, "floor": math.floor, "ceil": math.ceil,
    "exp": math.exp, "sqrt": math.sqrt, "log": math.log,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator] | type[ast.unaryop], Callable[..., float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: math.pow(a, b),  # floats: no number of a million digits, no complex one
    ast.USub: lambda a: -a,
    ast.UAdd: lambda a: a,
}


@dataclass(frozen=True)
class Formula:
    """A parsed formula and the names that stand in it."""

    written: str
    names: frozenset[str]
    node: ast.expr

    @classmethod
    def of(cls, written: str, names: Collection[str], where: str) -> "Formula":
        """Raises UserError, which begins with `where`, for what is no number, name, operator or function of these."""
        try:
            if "**" in written:
                raise SyntaxError("a power is written ^")
            node = ast.parse(written.strip().replace("^", "**"), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UserError(f"{where} is {written!r}, which is no formula: {getattr(error, 'msg', error)}") from error
        used: set[str] = set()
        _check(node, names, f"{where} is {written!r}", used)
        return cls(written, frozenset(used), node)

    def value(self, values: Mapping[str, float]) -> float:
        """Raises ArithmeticError or ValueError where it has no value: a division by zero, the root of -1."""
        from simpleeval import SimpleEval

        numbers = {name: float(value) for name, value in values.items()}
        evaluator = SimpleEval(operators=_OPERATORS, functions=FUNCTIONS, names=numbers)
        return float(evaluator.eval(self.written, previously_parsed=self.node))


def _check(node: ast.expr, names: Collection[str], where: str, used: set[str]) -> None:
    """Notes the names that are used."""
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name):
            if name not in names:
                raise UserError(f"{where}: {unknown('grader', name, names)}")
            used.add(name)
            return
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.Pow(), right=right):
            _check(left, names, where, used)
            _check(right, names, where, used)
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _check(operand, names, where, used)
            return
        case ast.Call(func=ast.Name(id=function), args=[_, *_] as arguments, keywords=[]):
            if function not in FUNCTIONS:
                raise UserError(f"{where}: {unknown('function', function, FUNCTIONS)}")
            if function not in ("min", "max") and len(arguments) != 1:
                raise UserError(f"{where}: {function} takes one number, and has {len(arguments)}")
            for argument in arguments:
                _check(argument, names, where, used)
            return
    shown: Any = ast.unparse(node)
    raise UserError(
        f"{where}, where {shown!r} may not stand; a formula has the names of graders ({', '.join(names)}), numbers, "
        f"+ - * / ^ and {', '.join(FUNCTIONS)}"
    )
