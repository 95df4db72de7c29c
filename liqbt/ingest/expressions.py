"""Small arithmetic over columns: `+ - * /`, parentheses, numbers and names, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from liqbt.types import FloatArray

_MAX_LENGTH: Final = 500
_MAX_DEPTH: Final = 40
_MOST: Final = 1e300
_QUOTED: Final = re.compile(r"`([^`]+)`")
_OPERATORS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A parsed expression.

    Attributes
    ----------
    text : str
        As it was written.
    names : tuple of str
        The columns and constants that it uses, sorted.
    tree : ast.expr
        Its checked syntax tree.
    quoted : mapping of str to str
        Placeholder to the name that was written in backticks.
    """

    text: str
    names: tuple[str, ...]
    tree: ast.expr
    quoted: Mapping[str, str]


def parse_expression(text: Any) -> Expression:
    """Return the expression written in `text`.

    A name that is no plain word is written in backticks.

    Raises
    ------
    ValueError
        It holds anything but arithmetic.

    Examples
    --------
    >>> parse_expression("value / (coins * 2)").names
    ('coins', 'value')
    >>> parse_expression("`asks[0].price` * 1e-4").names
    ('asks[0].price',)
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        raise ValueError(f"expected a column or arithmetic over columns, got {text!r}")
    text = str(text)
    if len(text) > _MAX_LENGTH:
        raise ValueError(f"an expression has at most {_MAX_LENGTH} characters")
    quoted: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        name = f"_quoted_{len(quoted)}"
        quoted[name] = match.group(1)
        return name

    plain = _QUOTED.sub(placeholder, text).strip()
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text!r} is not arithmetic over columns") from None
    names = {quoted.get(name, name) for name in _check(tree, text, 0)}
    return Expression(text=text, names=tuple(sorted(names)), tree=tree, quoted=quoted)


def evaluate(expression: Expression, columns: Mapping[str, FloatArray]) -> FloatArray:
    """Return the value of `expression` for every row; a division by zero is infinite or NaN.

    Parameters
    ----------
    expression : Expression
        All of its names must be in `columns`.
    columns : mapping of str to ndarray of float64, each of shape (n,) or ()

    Examples
    --------
    >>> import numpy as np
    >>> e = parse_expression("-(a - 1) / 2")
    >>> evaluate(e, {"a": np.array([3.0, 5.0])}).tolist()
    [-1.0, -2.0]
    """
    with np.errstate(all="ignore"):
        return np.asarray(_value(expression.tree, expression.quoted, columns), dtype=np.float64)


def _check(node: ast.expr, text: str, depth: int) -> set[str]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"{text!r} is nested too deeply")
    match node:
        case ast.Name(id=name):
            return {name}
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            if not abs(number) <= _MOST:
                raise ValueError(f"{text[:40]!r} holds a number beyond {_MOST:g}")
            return set()
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            return _check(inner, text, depth + 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _check(left, text, depth + 1) | _check(right, text, depth + 1)
    raise ValueError(f"{text!r} may hold columns, numbers, + - * / and parentheses only")


def _value(node: ast.expr, quoted: Mapping[str, str], columns: Mapping[str, FloatArray]) -> Any:
    match node:
        case ast.Name(id=name):
            return columns[quoted.get(name, name)]
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(op=op, operand=inner):
            value = _value(inner, quoted, columns)
            return np.negative(value) if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            rule = _OPERATORS[type(op)]
            return rule(_value(left, quoted, columns), _value(right, quoted, columns))
    raise AssertionError(node)
