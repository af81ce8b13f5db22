r"""Brings the many ways to write one thing to one way: text in, text out, meaning unchanged.

`clean` is a list of small stages. Its output is LaTeX with `\frac{}{}` spelled out, Unicode signs
as commands, thousands separators gone, and words kept in `\text{}`. Nothing here knows what an
answer means.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

__all__ = ["clean", "unwrap_text"]

Stage = Callable[[str], str]
"""One step of clean-up. A stage knows nothing of the stages around it."""

_SIGNS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-",
    "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ", "∗": "*", "÷": "/",
    "⁄": "/", "∕": "/", "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ",
    "⩽": r"\le ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ",
    "∈": r"\in ", "±": r"\pm ", "∓": r"\mp ", "°": r"^\circ ", "º": r"^\circ ", "′": "'",
    "’": "'", "‘": "'", "“": '"', "”": '"', "∅": r"\emptyset ", "ℝ": r"\mathbb{R}",
    "θ": r"\theta ", "φ": r"\phi ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ",
    "λ": r"\lambda ", "μ": r"\mu ", "ω": r"\omega ", "σ": r"\sigma ", "τ": r"\tau ",
    "ρ": r"\rho ", "Δ": r"\Delta ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ",
    "⌉": r"\rceil ", "∣": "|", "％": "%", "\u00a0": " ", "\u2007": " ", "\u2009": " ",
    "\u202f": " ", "\u3000": " ", "，": ",", "（": "(", "）": ")", "：": ":", "；": ";",
}  # fmt: skip
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad]")
_TRANSLATION = str.maketrans(_SIGNS)
_RADICAND = r"(\([^()]*\)|\{[^{}]*\}|[0-9]+(?:\.[0-9]+)?|[A-Za-z])"


def _unicode_to_latex(text: str) -> str:
    if text.isascii():
        return text
    text = _INVISIBLE.sub("", text).translate(_TRANSLATION)
    text = _run_to_script(text, _SUPERSCRIPTS, "^")
    text = _run_to_script(text, _SUBSCRIPTS, "_")
    text = re.sub(
        "([0-9]?)([¼½¾⅐-⅞])",
        lambda m: m[1] + _vulgar_fraction(m[2]),
        text,
    )
    text = re.sub("[√]" + _RADICAND, lambda m: r"\sqrt{" + _no_brackets(m[1]) + "}", text)
    text = re.sub("[∛]" + _RADICAND, lambda m: r"\sqrt[3]{" + _no_brackets(m[1]) + "}", text)
    return "".join(_plain_digit_or_letter(c) for c in text)


def _run_to_script(text: str, table: dict[str, str], mark: str) -> str:
    run = "[" + "".join(table) + "]+"
    return re.sub(run, lambda m: f"{mark}{{{''.join(table[c] for c in m[0])}}}", text)


def _vulgar_fraction(sign: str) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", sign).partition("⁄")
    return rf"\frac{{{top}}}{{{bottom}}}"


def _no_brackets(text: str) -> str:
    return text[1:-1] if text[0] in "({" else text


def _plain_digit_or_letter(char: str) -> str:
    """Full-width, mathematical and foreign digits and letters as ASCII; the rest unchanged."""
    if char < "\x80":
        return char
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 and plain.isascii() and plain.isprintable() else char


_WRAPPERS = (
    re.compile(r"\A\\\((.*)\\\)\Z", re.DOTALL),
    re.compile(r"\A\\\[(.*)\\\]\Z", re.DOTALL),
    re.compile(r"\A\*\*(.*?)\*\*\Z", re.DOTALL),
    re.compile(r"\A__([^_].*?)__\Z", re.DOTALL),
    re.compile(r"\A`+(.*?)`+\Z", re.DOTALL),
    re.compile(r'\A"(.*)"\Z', re.DOTALL),
    re.compile(r"\A'(.*)'\Z", re.DOTALL),
    re.compile(r"\A\\boxed\{(.*)\}\Z", re.DOTALL),
    re.compile(r"\A\\fbox\{(.*)\}\Z", re.DOTALL),
)


def _drop_dollars(text: str) -> str:
    """Take dollar signs away, except a single one beside a number: that is money."""
    bare = re.findall(r"(?<!\\)\$", text)
    if len(bare) % 2 == 0:
        return re.sub(r"(?<!\\)\$", " ", text)
    return re.sub(r"(?<![\\0-9])\$(?!\s*-?[0-9.])", " ", text)


def _unwrap(text: str) -> str:
    """Take off math delimiters, Markdown emphasis, quotes, boxes and closing punctuation."""
    for _ in range(8):
        text = text.strip().rstrip(".;,").strip() if not text.endswith("\\,") else text[:-2]
        for wrapper in _WRAPPERS:
            if (match := wrapper.match(text)) and _balanced(match[1]):
                text = match[1]
                break
        else:
            return text
    return text


def _balanced(text: str) -> bool:
    depth = 0
    for char in text:
        depth += (char == "{") - (char == "}")
        if depth < 0:
            return False
    return depth == 0


_LAYOUT = re.compile(
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|biggl|biggr|big|Big|bigg|Bigg|displaystyle|textstyle|"
    r"limits|nolimits)(?![A-Za-z])\.?"
)
_SPACES = re.compile(r"(?<!\\)\\[,;:> ]|\\(?:quad|qquad|enspace|thinspace)(?![A-Za-z])|~|\s+")
_THOUSANDS = re.compile(r"(?<=[0-9])(?:\s*\{,\s*\}|,\s*\\!|\\,|,\\\s)\s*(?=[0-9]{3}(?![0-9]))")


def _drop_layout(text: str) -> str:
    if "{," in text or "\\" in text:
        text = _THOUSANDS.sub("", text)
    if "\\" in text:
        text = re.sub(r"\\\\(?=[A-Za-z])", r"\\", text) if r"\begin" not in text else text
        text = text.replace(r"\!", "")
        text = _LAYOUT.sub("", text)
        text = re.sub(r"\\(?:lbrack|lparen)(?![A-Za-z])", "(", text)
    return _SPACES.sub(" ", text).strip()


_FONTS = re.compile(
    r"\\(?:mathrm|mathbf|mathit|mathsf|boldsymbol|bm|mbox|textbf|textit|textrm|textnormal|"
    r"textsf|texttt|emph|operatorname\*?|rm|text)\s*\{([^{}]*)\}"
)
_FUNCTIONS = frozenset(
    {
        "arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "asin", "acos", "atan",
        "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "sec", "csc",
        "sqrt", "ln", "log", "lg", "exp", "gcd", "lcm", "max", "min",
    }
)  # fmt: skip


def _fonts_to_text(text: str) -> str:
    if "\\" not in text:
        return text
    text = re.sub(r"\\(?:mathbf|mathit|boldsymbol|bm|vec|hat)\s*\{([A-Za-z0-9])\}", r"\1", text)
    text = re.sub(r"\{\\rm\s+([^{}]*)\}", r"\\text{\1}", text)
    return _FONTS.sub(_font, text)


def _font(match: re.Match[str]) -> str:
    inside = match[1]
    word = inside.strip()
    if word in _FUNCTIONS:
        return "\\" + word + " "
    if word in ("e", "i") and not match[0].startswith((r"\text", r"\mbox")):
        return word
    if word in ("and", "or"):
        return f" {word} "
    if word in ("", ",", ";"):
        return word
    return rf"\text{{{inside}}}"


_SYNONYMS = (
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:leqslant|leq|leqq)(?![A-Za-z])"), r"\\le"),
    (re.compile(r"\\(?:geqslant|geq|geqq)(?![A-Za-z])"), r"\\ge"),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"\\neq(?![A-Za-z])"), r"\\ne"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\(?:ast|star)(?![A-Za-z])"), "*"),
    (re.compile(r"\\(?:lvert|rvert|vert|mid)(?![A-Za-z])"), "|"),
    (re.compile(r"\\lbrace(?![A-Za-z])"), r"\\{"),
    (re.compile(r"\\rbrace(?![A-Za-z])"), r"\\}"),
    (re.compile(r"\\(?:varnothing|O)(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\^\{?\s*\\(?:circ|degree)\s*\}?|\\degree(?![A-Za-z])"), r"^\\circ "),
    (re.compile(r"\\(?:d|t)binom(?![A-Za-z])"), r"\\binom"),
    (re.compile(r"\\choose(?![A-Za-z])"), r"\\choose"),
    (re.compile(r"\\(?:ldots|dots|cdots)(?![A-Za-z])"), "..."),
)


def _one_spelling(text: str) -> str:
    if "inf" in text:
        text = re.sub(r"(?<![A-Za-z\\])(?:infinity|inf)(?![A-Za-z])", r"\\infty ", text)
    if "\\" not in text and "!=" not in text:
        return text
    for pattern, replacement in _SYNONYMS:
        text = pattern.sub(replacement, text)
    text = re.sub(r"\\frac\s*([0-9A-Za-z])\s*([0-9A-Za-z])", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\frac\s*([0-9A-Za-z])\s*\{", r"\\frac{\1}{", text)
    text = re.sub(r"(\\frac\s*\{[^{}]*\})\s*([0-9A-Za-z])", r"\1{\2}", text)
    return re.sub(r"\\sqrt\s*([0-9A-Za-z])", r"\\sqrt{\1}", text)


_STAGES: tuple[Stage, ...] = (
    _unicode_to_latex,
    _drop_dollars,
    _unwrap,
    _drop_layout,
    _fonts_to_text,
    _one_spelling,
    _unwrap,
)


def clean(text: str) -> str:
    """Return the canonical spelling of an answer."""
    for stage in _STAGES:
        text = stage(text)
    while match := re.fullmatch(r"\\text\s*\{([^{}]*)\}", text):
        text = _unwrap(match[1])
    return text


def unwrap_text(text: str) -> str:
    r"""Replace each `\text{words}` by its words."""
    return re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text).strip()
