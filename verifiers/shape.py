r"""Reads the outer structure of an answer: lists, sets, tuples, intervals, matrices, equations.

The leaves stay text: a number is read by `quantity`, anything else by the expression parser in a
worker process. Brackets keep their meaning: `(1,2)`, `[1,2]` and `\{1,2\}` are three things.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Equation", "Group", "Leaf", "Shape", "is_name", "read_shape", "split_top"]

MAX_ITEMS = 200
_MAX_DEPTH = 12

Kind = Literal["list", "set", "tuple", "union", "matrix", "ratio"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A single value, as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Group:
    """Several values. A `tuple` with brackets `(]` is a half-open interval."""

    kind: Kind
    items: tuple[Shape, ...]
    brackets: str = ""
    columns: int = 0
    """Of a matrix, whose items are its entries row by row."""


@dataclass(frozen=True, slots=True)
class Equation:
    """`sides[0] = sides[1] = …`; what each side is, is read when it is needed."""

    sides: tuple[str, ...]


Shape = Leaf | Group | Equation

_OPENING = re.compile(r"\\\{|\\l(?:angle|floor|ceil)(?![A-Za-z])|[(\[{]|\\begin\b")
_CLOSING = re.compile(r"\\\}|\\r(?:angle|floor|ceil)(?![A-Za-z])|[)\]}]|\\end\b")
_LIST_MARK = re.compile(r"[,;]|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])|\\(?:lor|vee|land|wedge)\b")
_UNION_MARK = re.compile(r"\\cup(?![A-Za-z])|(?<=[\])}]) ?U ?(?=[(\[\\{])")
_EQUALS = re.compile(r"(?<![<>!:\\])=(?!=)|\\equiv(?![A-Za-z])")
_APPROXIMATELY = re.compile(r"\\(?:approx|simeq|cong|sim)(?![A-Za-z])")
_SIGNS = re.compile(r"\\(pm|mp)(?![A-Za-z])")
_RELATION = re.compile(r"\\(?:le|ge)(?![A-Za-z])|<=|>=|<|>")
_NAME = re.compile(r"\\?[A-Za-z]+(?:_\{?[A-Za-z0-9]+\}?)?'*")
_MATRIX = re.compile(
    r"\\begin\s*\{([pbvBV]?matrix|smallmatrix|array)\}(?:\{[^{}]*\})?(.*)\\end\s*\{\1\}", re.DOTALL
)
_THOUSANDS = re.compile(
    r"[+-]?(?:\\?[$€£])?[0-9]{1,3}(?:,[0-9]{3})+(?![0-9]|,)[^0-9,;]*(?:\.[0-9]+[^0-9,;]*)?"
)
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?: *([aApP])\.? ?[mM]\.?)?")
_MEMBER = re.compile(r"\\in(?![A-Za-z])")


def read_shape(text: str, depth: int = 0) -> Shape:
    """Read one answer, in the canonical spelling of `notation.clean`."""
    text = text.strip()
    if depth > _MAX_DEPTH:
        return Leaf(text)
    if (
        r"\in" in text
        and (match := _MEMBER.search(text))
        and _NAME.fullmatch(text[: match.start()].strip())
    ):
        return read_shape(text[match.end() :], depth + 1)
    if matrix := _read_matrix(text, depth):
        return matrix
    if clock := _read_clock(text):
        return clock
    if (french := _read_french_interval(text, depth)) is not None:
        return french
    if (several := _read_list(text, depth)) is not None:
        return several
    if (bracketed := _read_bracketed(text, depth)) is not None:
        return bracketed
    if (rounded := _read_approximation(text, depth)) is not None:
        return rounded
    if len(sides := split_top(text, _EQUALS)) > 1:
        return Equation(tuple(side.strip() for side in sides))
    if (interval := _read_inequality(text)) is not None:
        return interval
    if _SIGNS.search(text):
        return _both_signs(text, depth)
    if len(parts := split_top(text, re.compile(r":|\\colon(?![A-Za-z])"))) > 1:
        return Group("ratio", tuple(Leaf(part.strip()) for part in parts))
    return Leaf(text)


def split_top(text: str, mark: re.Pattern[str]) -> list[str]:
    """Split `text` where `mark` stands outside all brackets."""
    if mark.search(text) is None:
        return [text]
    parts, start, depth, i = [], 0, 0, 0
    while i < len(text):
        if match := _OPENING.match(text, i):
            depth, i = depth + 1, match.end()
        elif match := _CLOSING.match(text, i):
            depth, i = max(depth - 1, 0), match.end()
        elif depth == 0 and (match := mark.match(text, i)) and match.end() > i:
            parts.append(text[start:i])
            start = i = match.end()
        else:
            i += 2 if text[i] == "\\" and text[i + 1 : i + 2] == "\\" else 1
    return [*parts, text[start:]]


_ONE_NAME = r"\\?[A-Za-z]+(?:_\{?[A-Za-z0-9 ,\\]+\}?)?'*(?:\s*\([A-Za-z, ]+\))?"
_COMPOUND_NAME = re.compile(
    rf"{_ONE_NAME}|\((?:\s*{_ONE_NAME}\s*,)+\s*{_ONE_NAME}\s*\)|\|{_ONE_NAME}\||{_ONE_NAME}\s*:\s*{_ONE_NAME}"
    rf"|\\frac\{{{_ONE_NAME}\}}\{{{_ONE_NAME}\}}|\\angle\s*{_ONE_NAME}|\\overline\{{{_ONE_NAME}\}}"
)


def is_name(text: str) -> bool:
    """Tell names of values (`x`, `f(x)`, `(p, q)`, `|AB|`, `V_1 : V_2`) from expressions."""
    return len(text) < 80 and _COMPOUND_NAME.fullmatch(text.strip()) is not None


def _read_approximation(text: str, depth: int) -> Shape | None:
    r"""`\sqrt{2} \approx 1.414` states the root; `x \approx 11` and `\approx 11` state 11."""
    parts = [part.strip() for part in split_top(text, _APPROXIMATELY)]
    if len(parts) < 2 or not parts[-1]:
        return None
    if not parts[0]:
        return read_shape(parts[1], depth + 1)
    return Equation((parts[0], parts[1])) if is_name(parts[0]) else read_shape(parts[0], depth + 1)


def _read_list(text: str, depth: int) -> Group | None:
    if _THOUSANDS.fullmatch(text):
        return None
    for mark, kind in ((_LIST_MARK, "list"), (_UNION_MARK, "union")):
        parts = [part.strip() for part in split_top(_mask_thousands(text), mark)]
        if len(parts) < 2:
            continue
        items = [_unmask(part) for part in parts if part.strip(" .")]
        if not 0 < len(items) <= MAX_ITEMS:
            return None
        shapes = tuple(read_shape(item, depth + 1) for item in items)
        if len(shapes) == 1:
            return None
        if kind == "list":
            return Group("list", _flatten(_share_name(shapes)))
        return Group("union", shapes)
    return None


_MONEY = re.compile(r"(?<=[$€£])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])")


def _mask_thousands(text: str) -> str:
    """Commas inside amounts of money separate thousands, also in a list."""
    return _MONEY.sub(lambda m: m[0].replace(",", "\x1f"), text)


def _unmask(text: str) -> str:
    return text.replace("\x1f", ",")


def _flatten(shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    items: list[Shape] = []
    for shape in shapes:
        items.extend(shape.items if isinstance(shape, Group) and shape.kind == "list" else [shape])
    return tuple(items)


def _share_name(shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """`x = 1, 2` and `x = 1 or x = 2` list values of one name: keep the values."""
    names = {shape.sides[0] for shape in shapes if isinstance(shape, Equation)}
    first = shapes[0]
    if len(names) != 1 or not isinstance(first, Equation) or not is_name(first.sides[0]):
        return shapes
    return tuple(
        read_shape(shape.sides[-1]) if isinstance(shape, Equation) else shape for shape in shapes
    )


def _read_french_interval(text: str, depth: int) -> Group | None:
    """`]1,2[`: brackets that point outwards leave the end out."""
    match = re.fullmatch(r"\]([^\[\]]*)[\[\]]|\[([^\[\]]*)\[", text)
    if match is None:
        return None
    ends = ("(" if text[0] == "]" else "[") + (")" if text[-1] == "[" else "]")
    parts = split_top(match[1] or match[2] or "", re.compile("[,;]"))
    return _tuple_of(parts, ends, depth) if len(parts) == 2 else None


def _read_bracketed(text: str, depth: int) -> Shape | None:
    opening = re.match(r"\\\{|\\langle(?![A-Za-z])|[(\[{]", text)
    if opening is None or _closes_at(text, opening.end()) != len(text):
        return None
    closing = re.search(r"(?:\\\}|\\rangle|[)\]}])\Z", text)
    if closing is None:
        return None
    inside = text[opening.end() : closing.start()]
    parts = split_top(inside, re.compile(r"[,;]"))
    if opening[0] == "\\{":
        items = [part for part in parts if part.strip()]
        shapes = _flatten(tuple(read_shape(item, depth + 1) for item in items[:MAX_ITEMS]))
        return Group("set", shapes)
    if opening[0] == "{" or len(parts) == 1:
        return read_shape(inside, depth + 1) if opening[0] in "{([" else None
    return _tuple_of(parts, opening[0][-1] + closing[0][-1], depth)


def _tuple_of(parts: list[str], brackets: str, depth: int) -> Group | None:
    if len(parts) > MAX_ITEMS or not all(part.strip() for part in parts):
        return None
    brackets = "()" if brackets == "ee" else brackets  # \langle … \rangle
    return Group("tuple", tuple(read_shape(part, depth + 1) for part in parts), brackets)


def _closes_at(text: str, start: int) -> int:
    depth, i = 1, start
    while i < len(text):
        if match := _OPENING.match(text, i):
            depth, i = depth + 1, match.end()
        elif match := _CLOSING.match(text, i):
            depth, i = depth - 1, match.end()
            if depth == 0:
                return i
        else:
            i += 2 if text[i] == "\\" and text[i + 1 : i + 2] == "\\" else 1
    return -1


def _read_matrix(text: str, depth: int) -> Group | None:
    body = re.sub(r"\A[(\[]\s*(?=\\begin)|(?<=\})\s*[)\]]\Z", "", text)
    if r"\begin" not in body or not (match := _MATRIX.fullmatch(body)):
        return None
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?|\\cr", match[2]) if row.strip()]
    cells = [row.replace(r"\hline", "").split("&") for row in rows]
    widths = {len(row) for row in cells}
    if len(widths) != 1 or len(cells) * max(widths) > MAX_ITEMS:
        return None
    entries = tuple(read_shape(cell, depth + 1) for row in cells for cell in row)
    return Group("matrix", entries, columns=widths.pop())


def _read_clock(text: str) -> Group | None:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    half = f"{match[3].lower()}m" if match[3] else ""
    return Group("ratio", (Leaf(match[1]), Leaf(match[2])), brackets=half)


def _read_inequality(text: str) -> Group | None:
    r"""`2 < x \le 5` and `x > 3` as intervals; None for anything else."""
    sides = [side.strip() for side in split_top(text, _RELATION)]
    if len(sides) not in (2, 3):
        return None
    signs = [_plain_sign(sign) for sign in _RELATION.findall(text)]
    if len(signs) != len(sides) - 1:
        return None
    if len(sides) == 2 and sides[0].startswith("-") and is_name(sides[0][1:]):
        sides = [sides[0][1:], _negated(sides[1])]
        signs = [signs[0].translate(str.maketrans("<>", "><"))]
    if len(sides) == 3:
        low, name, high = sides
        if not is_name(name) or signs[0][0] != signs[1][0]:
            return None
        if signs[0][0] == ">":
            low, high, signs = high, low, signs[::-1]
    else:
        flipped = bool(is_name(sides[1])) and not is_name(sides[0])
        name, bound = (sides[1], sides[0]) if flipped else (sides[0], sides[1])
        if not is_name(name):
            return None
        if (signs[0][0] == ">") != flipped:
            low, high, signs = bound, r"\infty", [signs[0], ">"]
        else:
            low, high, signs = r"-\infty", bound, ["<", signs[0]]
    ends = ("[" if "=" in signs[0] else "(") + ("]" if "=" in signs[1] else ")")
    return Group("tuple", (Leaf(low), Leaf(high)), ends)


def _negated(text: str) -> str:
    return text[1:] if re.fullmatch("-[^-+]+", text) else f"-({text})"


def _plain_sign(sign: str) -> str:
    return {r"\le": "<=", r"\ge": ">="}.get(sign, sign)


def _both_signs(text: str, depth: int) -> Group:
    plus = _SIGNS.sub(lambda match: "+" if match[1] == "pm" else "-", text)
    minus = _SIGNS.sub(lambda match: "-" if match[1] == "pm" else "+", text)
    return Group("list", tuple(read_shape(_no_plus(t), depth + 1) for t in (plus, minus)))


def _no_plus(text: str) -> str:
    return text.strip().removeprefix("+").strip()
