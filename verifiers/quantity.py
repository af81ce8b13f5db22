r"""A literal number with what stands around it: unit, currency, percent sign, base, words.

`5.4 \text{ cents}`, `\$18.90`, `15\mbox{ cm}^2`, `62.5%`, `52_8`, `90^\circ`, `160 minutes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from cascade.verifiers.notation import unwrap_text
from cascade.verifiers.number import Number, read_number

__all__ = ["Quantity", "Unit", "read_prose", "read_quantity"]


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts. Units of one dimension convert into each other."""

    name: str
    dimension: str = ""
    """Empty for words that are in no table ("apples"): they are not compared."""
    factor: Fraction = Fraction(1)
    """How many of the dimension's base unit one of these is."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as an answer states it."""

    number: Number
    unit: Unit | None = None
    percent: bool = False
    base: int = 10
    """Of a numeral like `52_8`; its `number` is then the value, not the digits read as decimal."""
    numeral: str = ""
    """The digits of such a numeral."""


def _table() -> dict[str, Unit]:
    rows: list[tuple[str, str, str]] = [
        ("length", "1", "m meter metre meters metres"),
        ("length", "1000", "km kilometer kilometre kilometers kilometres"),
        ("length", "1/100", "cm centimeter centimetre centimeters centimetres"),
        ("length", "1/1000", "mm millimeter millimetre millimeters millimetres"),
        ("length", "1/1000000000", "nm nanometer nanometers"),
        ("length", "127/5000", "in inch inches"),
        ("length", "381/1250", "ft foot feet"),
        ("length", "1143/1250", "yd yard yards"),
        ("length", "201168/125", "mi mile miles"),
        ("mass", "1", "g gram grams gm"),
        ("mass", "1000", "kg kilogram kilograms"),
        ("mass", "1/1000", "mg milligram milligrams"),
        ("mass", "45359237/100000", "lb lbs pound pounds"),
        ("mass", "45359237/1600000", "oz ounce ounces"),
        ("time", "1", "s sec secs second seconds"),
        ("time", "1/1000", "ms millisecond milliseconds"),
        ("time", "60", "min mins minute minutes"),
        ("time", "3600", "h hr hrs hour hours"),
        ("time", "86400", "day days"),
        ("time", "604800", "week weeks"),
        ("volume", "1", "l L liter litre liters litres"),
        ("volume", "1/1000", "ml mL milliliter milliliters"),
        ("money", "1", "dollar dollars usd USD $"),
        ("money", "1/100", "cent cents ¢"),
        ("money euro", "1", "euro euros EUR €"),
        ("money pound", "1", "GBP £"),
        ("money yen", "1", "yen JPY ¥"),
        ("money rupee", "1", "rupee rupees INR ₹"),
        ("angle", "1", "degree degrees deg"),
        ("speed mph", "1", "mph"),
        ("speed kmh", "1", "kmh km/h kmph"),
        ("force", "1", "N newton newtons"),
        ("energy", "1", "J joule joules"),
        ("energy", "1000", "kJ kilojoule kilojoules"),
        ("power", "1", "W watt watts"),
        ("temperature kelvin", "1", "K kelvin"),
    ]
    table = {}
    for dimension, factor, names in rows:
        first = names.split()[0]
        for name in names.split():
            table[name] = Unit(first, dimension, Fraction(factor))
    return table


_UNITS = _table()
_DEGREES = _UNITS["degree"]
_CURRENCY = re.compile(r"\\?[$]|[€£¥₹]")
_PERCENT = re.compile(
    r"\s*(?:\\?%|\\text\{\s*(?:%|\\%|percent(?:age)?)\s*\}|percent(?:age)?\b|pct\b)"
)
_CIRCLE = re.compile(r"\s*\^\s*\{?\\circ\s*\}?\s*(?:C|F|\\text\{\s*[CF]\s*\})?")
_BASED = re.compile(
    r"(?P<sign>-?)(?P<numeral>[0-9A-Za-z]+)_\s*\{?\s*(?:\\text\{\s*)?(?P<base>[0-9]{1,2})\s*\}?\s*\}?"
)
_MODULUS = re.compile(r"\s*(?:\\p?mod|\(\s*\\?mod|\\bmod|\bmod|\(\s*\\bmod)(?![A-Za-z]).*\Z")
_LEADING = re.compile(r"(?:\\approx|\\sim|\\simeq|\\cong)(?![A-Za-z])\s*")
_EXPONENT = re.compile(r"(?:\s*\^\s*\{?\s*([0-9])\s*\}?|\s*([23²³]))\Z")
_NUMERAL_END = re.compile(
    r"[+-]?\s*(?:\\frac\s*\{[^{}]*\}\s*\{[^{}]*\}|[0-9.,]*[0-9.](?:\s*\\frac\s*\{[^{}]*\}\s*\{[^{}]*\})?"
    r"(?:\s*/\s*[0-9]+|\s+[0-9]+/[0-9]+)?(?:[eE][+-]?[0-9]+(?![A-Za-z0-9]))?"
    r"(?:\s*(?:\\times|\\cdot|\*|x)\s*10\s*\^\s*(?:\{[^{}]*\}|-?[0-9]+))?)"
)


def read_quantity(text: str, *, spaced_letters: bool = True) -> Quantity | None:
    """Read a number with its unit; None if the text is anything else.

    Args:
        text: in the canonical spelling of `notation.clean`.
        spaced_letters: whether one letter is a unit ("10 m"). False where it may be a variable.
    """
    text = _LEADING.sub("", text.strip(), count=1)
    if (number := read_number(text)) is not None:
        return Quantity(number)
    if based := _read_based(text):
        return based
    text = _MODULUS.sub("", text)
    money = _CURRENCY.match(text.lstrip("+-"))
    if money:
        return _read_money(text, money)
    match = _NUMERAL_END.match(text)
    if match is None:
        return None
    number, rest = read_number(match[0].rstrip(",")), text[match.end() :]
    if number is None:
        return None
    if not rest.strip():
        return Quantity(number)
    if _PERCENT.fullmatch(rest):
        return Quantity(_percent(number), percent=True)
    if _CIRCLE.fullmatch(rest):
        return Quantity(number, _DEGREES)
    unit = _read_unit(rest, spaced_letters)
    return Quantity(number, unit) if unit else None


def _read_money(text: str, sign: re.Match[str]) -> Quantity | None:
    symbol = sign[0].lstrip("\\")
    bare = text.replace(sign[0], "", 1).strip()
    inner = read_quantity(bare)
    if inner is None or inner.percent or (inner.unit and inner.unit.dimension not in ("", "money")):
        return None
    return Quantity(inner.number, _UNITS[symbol])


def _percent(number: Number) -> Number:
    places = None if number.places is None else number.places - 2
    return Number(number.value / 100, places, number.digits)


def _read_based(text: str) -> Quantity | None:
    match = _BASED.fullmatch(text)
    if match is None:
        return None
    base, numeral = int(match["base"]), match["numeral"]
    if not 2 <= base <= 36 or len(numeral) > 1000:
        return None
    try:
        value = Fraction(int(numeral, base))
    except ValueError:  # a digit that the base does not have
        return None
    sign = -1 if match["sign"] else 1
    return Quantity(Number(value * sign), base=base, numeral=match["sign"] + numeral.upper())


_WORDS = re.compile(r"[A-Za-z][A-Za-z .,'()/°-]*")


def _read_unit(rest: str, spaced_letters: bool) -> Unit | None:
    r"""Read what follows the number: `\text{ cm}^2`, ` square inches`, ` apples`."""
    in_text = rest.lstrip().startswith("\\text")
    words = " ".join(unwrap_text(rest).split())
    if words[:1] in ("$", "€", "£", "¥", "₹", "¢") or words[:2] == "\\$":
        return _UNITS.get(words.lstrip("\\"))
    power = 1
    if exponent := _EXPONENT.search(words):
        power = int((exponent[1] or exponent[2]).translate(str.maketrans("²³", "23")))
        words = words[: exponent.start()].strip()
    lowered = words.lower()
    for prefix, value in (("square ", 2), ("sq ", 2), ("sq. ", 2), ("cubic ", 3), ("cu ", 3)):
        if lowered.startswith(prefix):
            power, words = value, words[len(prefix) :]
    if not _WORDS.fullmatch(words):
        return None
    if len(words) == 1 and not in_text and not (spaced_letters and rest[0] == " "):
        return None  # 2k, 6m: a variable
    known = _UNITS.get(words) or _UNITS.get(words.lower().rstrip("."))
    if known is None:
        return Unit(words.lower()) if in_text or _is_word(words) else None
    if power == 1:
        return known
    return Unit(f"{known.name}^{power}", f"{known.dimension}^{power}", known.factor**power)


def _is_word(words: str) -> bool:
    """Tell "apples" from products of variables (`ab`, `xyz`) and functions (`sin x`)."""
    first = words.replace("(", " ").split(" ")[0].lower()
    functions = r"(?:arc|a)?(?:sin|cos|tan|cot|sec|csc)h?|sqrt|log|ln|lg|exp|max|min|gcd|lcm|theta"
    return len(first) > 2 and bool(re.search("[aeiou]", first)) and not re.match(functions, first)


_DOUBT = re.compile(
    r"\b(?:not|no|nor|or|never|neither|cannot|between|than|least|most|except|unless|but|if|"
    r"impossible|undefined|incorrect|wrong|isn|aren|doesn|x|y|z|n)\b|\?|=",
    re.IGNORECASE,
)
_IN_PROSE = re.compile(
    r"(?<![A-Za-z0-9.,/^_{\\])(?:-|\\?\$|[€£])*"
    r"(?:\\frac\{[0-9]+\}\{[0-9]+\}|[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?:/[0-9]+)?)\s*(?:\\?%)?"
)


def read_prose(text: str) -> Quantity | None:
    """Read a sentence that states exactly one number and no doubt about it."""
    words = " ".join(unwrap_text(text).split()).replace("**", "")
    if len(words) > 300 or _DOUBT.search(words) or not re.search(r"[A-Za-z]{3}", words):
        return None
    found = list(_IN_PROSE.finditer(words))
    if len(found) != 1 or len(re.findall(r"[0-9]+(?:[.,/]?[0-9])*", words)) != 1:
        return None
    rest = words[found[0].end() :]
    word = re.match(r"\s*([A-Za-z]+)", rest)
    number = found[0][0].strip()
    if word and (quantity := read_quantity(f"{number} {word[1]}")) is not None:
        return quantity
    return read_quantity(number)
