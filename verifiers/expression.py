r"""Parses closed forms and formulas, in LaTeX or plain text, into a small tree.

One pass, linear time, no evaluation: `2^{0.5}`, `\frac{4^{2024}}{\binom{4048}{2024}}-2`,
`sqrt(34)`, `x_0 \cos(\omega t)`. What it does not know (integrals, limits, …) raises `Unreadable`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["Call", "Literal", "Name", "Node", "Unreadable", "functions_in", "names_in", "parse"]


class Unreadable(ValueError):
    """The text is no expression of the grammar."""


@dataclass(frozen=True, slots=True)
class Literal:
    """An exact number; `places` is the exponent of ten of the last digit of a decimal."""

    value: Fraction
    places: int | None = None
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Name:
    r"""A variable or a constant (`\pi`, `e`, `i`, `\infty`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation or function of its arguments: "+", "*", "/", "^", "sin", "!", …."""

    function: str
    arguments: tuple[Node, ...]


Node = Literal | Name | Call

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]{1,4}(?![0-9A-Za-z]))?|\.[0-9]+)"
    r"|(?P<command>\\(?:[A-Za-z]+|[{}|%]))|(?P<letter>[A-Za-z])"
    r"|(?P<sign>\*\*|[-+*/^_!(){}\[\]|'%&]))"
)
_WORD = re.compile(
    r"(?<![A-Za-z\\])(arcsin|arccos|arctan|asin|acos|atan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc"
    r"|sqrt|cbrt|ln|log|exp|pi|abs|floor|ceil|gcd|lcm|max|min|binom|infinity|inf|oo|theta|alpha"
    r"|beta|gamma|lambda|omega)(?![a-z])"
)
_FUNCTIONS = {
    "sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "arcsin", "arccos",
    "arctan", "arccot", "arcsec", "arccsc", "ln", "log", "lg", "exp", "gcd", "lcm", "max", "min",
}  # fmt: skip
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot"}
_ALIASES = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "infinity": "infty", "inf": "infty",
    "oo": "infty", "varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta", "imath": "i",
}  # fmt: skip
_BRACKETS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\langle": r"\rangle"}
_ACCENTS = {"overline", "bar", "hat", "vec", "tilde", "dot", "ddot", "widehat", "underline"}
_UNSUPPORTED = {
    "int", "iint", "oint", "sum", "prod", "lim", "partial", "nabla", "cup", "cap", "in", "subset",
    "forall", "exists", "to", "ne", "le", "ge", "approx", "equiv", "mod", "bmod", "pmod", "begin",
    "end", "Re", "Im", "det", "pm", "mp", "rightarrow", "implies", "perp", "parallel", "emptyset",
    "mathbb", "mathcal", "triangle", "angle", "otimes", "oplus", "lor", "land", "circ", "lbrace",
}  # fmt: skip
_LARGEST_PRODUCT_ARGUMENT = ("+", "-", "/", ")", "]", "}", "|", "&")


def parse(text: str) -> Node:
    """Parse a whole expression.

    Raises:
        Unreadable: `text` holds something else, or more than the grammar.
    """
    return _Parser(text).whole()


def names_in(node: Node) -> set[str]:
    """Return the names of variables and constants."""
    return {part.name for part in _parts(node) if isinstance(part, Name)}


def functions_in(node: Node) -> set[str]:
    """Return the operations and functions of an expression."""
    return {part.function for part in _parts(node) if isinstance(part, Call)}


def _parts(node: Node) -> Iterator[Node]:
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, Call):
            stack.extend(node.arguments)


class _Parser:
    """Recursive descent over tokens; each method reads one level of binding strength."""

    def __init__(self, text: str) -> None:
        text = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text) if r"\text{" in text else text
        text = re.sub(r"(?<![A-Za-z])(?:np|numpy|math)\.(?=[a-z])", "", text)
        self._tokens = _tokens(_WORD.sub(lambda m: f"\\{m[1]} ", text))
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._sum()
        if self._peek():
            raise Unreadable(f"unexpected {self._peek()!r}")
        return node

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _accept(self, *tokens: str) -> bool:
        if self._peek() in tokens:
            self._at += 1
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise Unreadable(f"expected {token!r}, found {self._peek()!r}")

    def _sum(self) -> Node:
        self._depth += 1
        if self._depth > 150:
            raise Unreadable("nested too deeply")
        node = self._signed_product()
        while (sign := self._peek()) in ("+", "-"):
            self._at += 1
            right = self._signed_product()
            node = Call("+", (node, right if sign == "+" else _negative(right)))
        self._depth -= 1
        return node

    def _signed_product(self) -> Node:
        negative = False
        while self._peek() in ("+", "-"):
            negative ^= self._next() == "-"
        node = self._product()
        return _negative(node) if negative else node

    def _product(self) -> Node:
        node = self._power()
        while True:
            if self._accept("*", r"\times", r"\cdot"):
                node = Call("*", (node, self._signed_power()))
            elif self._accept("/"):
                node = Call("/", (node, self._signed_power()))
            elif self._starts_factor():
                if self._peek()[0].isdigit() and isinstance(node, Literal):
                    raise Unreadable("two numbers side by side")
                node = self._juxtaposed(node)
            else:
                return node

    def _juxtaposed(self, left: Node) -> Node:
        r"""`2x`, and `2\frac{1}{2}`, which is 2 + 1/2."""
        is_fraction = self._peek() == r"\frac"
        right = self._power()
        whole = isinstance(left, Literal) and left.value.denominator == 1 and left.places is None
        if is_fraction and whole and _is_proper(right):
            return Call("+", (left, right))
        return Call("*", (left, right))

    def _starts_factor(self) -> bool:
        token = self._peek()
        if not token or token in ("+", "-", "*", "/", "^", "_", "!", ")", "]", "}", "'", "%", "&"):
            return False
        if token in (r"\}", r"\rangle", r"\rfloor", r"\rceil", r"\times", r"\cdot", r"\choose"):
            return False
        return token != "|" or not self._in_bars

    _in_bars = False

    def _signed_power(self) -> Node:
        if self._accept("-"):
            return _negative(self._signed_power())
        self._accept("+")
        return self._power()

    def _power(self) -> Node:
        base = self._postfix(self._atom())
        while self._accept("^", "**"):
            if self._accept(r"\circ"):
                base = Call("degrees", (base,))
                continue
            if self._peek() == "{" and self._peek(1) == r"\prime":
                self._at += 2
                self._expect("}")
                base = _primed(base)
                continue
            base = Call("^", (base, self._exponent()))
            base = self._postfix(base)
        return base

    def _exponent(self) -> Node:
        if self._accept("-"):
            return _negative(self._exponent())
        self._accept("+")
        if self._peek() == "{":
            return self._group()
        node = self._postfix(self._atom())
        if self._accept("^", "**"):  # plain text: 2^3^4 is 2^(3^4)
            return Call("^", (node, self._exponent()))
        return node

    def _postfix(self, node: Node) -> Node:
        while True:
            if self._accept("!"):
                node = Call("!", (node,))
            elif self._accept("'"):
                node = _primed(node)
            elif self._accept("%", r"\%"):
                node = Call("/", (node, Literal(Fraction(100))))
            else:
                return node

    def _group(self) -> Node:
        opening = self._next()
        closing = _BRACKETS[opening]
        bars, self._in_bars = self._in_bars, False
        node = self._sum()
        if opening == "{" and self._accept(r"\choose"):
            node = Call("binom", (node, self._sum()))
        self._expect(closing)
        self._in_bars = bars
        return node

    def _braced(self) -> Node:
        """The argument of a command: a group, or a single token."""
        if self._peek() == "{":
            return self._group()
        token = self._peek()
        if token.isdigit():  # \frac12 was spelled out by `clean`; here it is \sqrt2 and the like
            self._at += 1
            return _number(token)
        return self._atom()

    def _atom(self) -> Node:
        token = self._peek()
        if not token:
            raise Unreadable("the expression ends too early")
        if token[0].isdigit() or token[0] == ".":
            self._at += 1
            return _number(token)
        if token in _BRACKETS:
            return self._group()
        if token == "|":
            return self._absolute()
        if token in (r"\lfloor", r"\lceil"):
            self._at += 1
            node = self._sum()
            self._expect({r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}[token])
            return Call(token[2:], (node,))
        if token[0] == "\\":
            return self._command(token[1:])
        if token.isalpha():
            self._at += 1
            return self._named(token)
        raise Unreadable(f"unexpected {token!r}")

    def _absolute(self) -> Node:
        self._expect("|")
        bars, self._in_bars = self._in_bars, True
        node = self._sum()
        self._expect("|")
        self._in_bars = bars
        return Call("abs", (node,))

    def _command(self, name: str) -> Node:
        name = _ALIASES.get(name, name)
        self._at += 1
        if name == "frac":
            top = self._braced()
            return Call("/", (top, self._braced()))
        if name == "binom":
            if self._peek() == "(":
                return Call("binom", self._arguments())
            top = self._braced()
            return Call("binom", (top, self._braced()))
        if name in ("sqrt", "cbrt"):
            return self._root(name)
        if name in ("abs", "floor", "ceil"):
            return Call(name, (self._braced(),))
        if name in _FUNCTIONS:
            return self._function(name)
        if name in _ACCENTS:
            return self._named(f"{name}({_flat(self._raw_group())})")
        if name in _UNSUPPORTED or not name.isalpha():
            raise Unreadable(f"no rule for \\{name}")
        return self._named(name)

    def _root(self, name: str) -> Node:
        index: Node = Literal(Fraction(3 if name == "cbrt" else 2))
        if self._peek() == "[":
            index = self._group()
        return Call("root", (self._braced(), index))

    def _function(self, name: str) -> Node:
        power: Node | None = None
        base: Node | None = None
        while self._peek() in ("^", "_"):
            if self._next() == "^":
                power = self._exponent()
            else:
                base = self._braced()
        if name in ("gcd", "lcm", "max", "min"):
            return Call(name, self._arguments())
        if name == "log" and base is None and self._peek().isdigit() and self._peek(1) == "(":
            base = _number(self._next())  # log2(13)
        if power == Literal(Fraction(-1)) or power == _negative(Literal(Fraction(1))):
            name, power = _INVERSE.get(name, name), None if name in _INVERSE else power
        argument = self._group() if self._peek() in ("(", "[", "{") else self._bare_argument()
        call = Call("log_base", (argument, base)) if base is not None else Call(name, (argument,))
        return Call("^", (call, power)) if power is not None else call

    def _bare_argument(self) -> Node:
        r"""`\sin 2x`, `\ln 2`: factors up to the next sign, bar or function."""
        node = self._signed_power()
        while self._starts_factor() and self._peek()[1:] not in _FUNCTIONS:
            if self._peek() in ("(", "[") or self._peek()[0].isdigit():
                break
            node = Call("*", (node, self._power()))
        return node

    def _arguments(self) -> tuple[Node, ...]:
        opening = self._next()
        if opening not in ("(", "{"):
            raise Unreadable("a function without brackets")
        nodes = [self._sum()]
        while self._accept(","):
            nodes.append(self._sum())
        self._expect(_BRACKETS[opening])
        return tuple(nodes)

    def _named(self, name: str) -> Node:
        if self._accept("_"):
            group = self._raw_group() if self._peek() == "{" else [self._next()]
            name = f"{name}_{_flat(group)}"
        if self._peek() == "(" and self._peek(2) == ")" and self._peek(1)[:1].isdigit():
            self._at += 3  # f(0), I(0): a value of a function, never a product
            name = f"{name}({self._peek(-2)})"
        return Name(name)

    def _raw_group(self) -> list[str]:
        if self._peek() != "{":
            return [self._next()]
        depth, tokens = 0, []
        while True:
            token = self._next()
            if not token:
                raise Unreadable("a brace is not closed")
            depth += (token == "{") - (token == "}")
            tokens.append(token)
            if depth == 0:
                return tokens[1:-1]


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            if text[at] == ",":  # separates arguments of max, gcd, …
                tokens.append(",")
                at += 1
                continue
            raise Unreadable(f"no rule for {text[at]!r}")
        tokens.append(match[0].strip())
        at = match.end()
    return tokens


def _number(token: str) -> Literal:
    mantissa, _, power = token.lower().partition("e")
    whole, _, part = mantissa.partition(".")
    if len(whole) + len(part) > 4000:
        raise Unreadable("a number of more than 4,000 digits")
    exponent = int(power or 0) - len(part)
    value = Fraction(int((whole + part) or "0")) * Fraction(10) ** exponent
    if not part and not power:
        return Literal(value)
    return Literal(value, exponent, len((whole + part).lstrip("0")))


def _negative(node: Node) -> Node:
    if isinstance(node, Literal):
        return Literal(-node.value, node.places, node.digits)
    return Call("*", (Literal(Fraction(-1)), node))


def _primed(node: Node) -> Node:
    if not isinstance(node, Name):
        raise Unreadable("a prime on something without a name")
    return Name(node.name + "'")


def _is_proper(node: Node) -> bool:
    if not (isinstance(node, Call) and node.function == "/"):
        return False
    top, bottom = node.arguments
    if not (isinstance(top, Literal) and isinstance(bottom, Literal)):
        return False
    return 0 < top.value < bottom.value and top.places is None and bottom.places is None


def _flat(tokens: list[str]) -> str:
    return "".join(token.lstrip("\\") for token in tokens if token not in ("{", "}", r"\text"))
