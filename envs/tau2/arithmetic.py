"""The domains' calculator: read with `ast`, never run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from cascade.envs.toolworld import ToolError

__all__ = ["calculate"]

_LONGEST = 200
_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[float], float]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}


def calculate(expression: str) -> str:
    """Return the value of an expression of numbers, rounded to two places.

    Raises:
        ToolError: it holds anything but numbers, + - * / and parentheses, or has no value.
    """
    if len(expression) > _LONGEST or not set(expression) <= set("0123456789+-*/(). "):
        raise ToolError("Invalid characters in expression")
    try:
        return str(round(float(_value(ast.parse(expression.strip(), mode="eval").body)), 2))
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ToolError(f"the expression has no value: {error}") from error


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
        return _UNARY[type(node.op)](_value(node.operand))
    raise ValueError("only + - * / of numbers")
