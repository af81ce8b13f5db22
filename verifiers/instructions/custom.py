"""Rules of IFBench that belong to one question each.

Behaviour after allenai/IFBench db69a6f (Apache-2.0).
"""

from __future__ import annotations

import csv
import io
import re
from itertools import pairwise
from random import Random

from cascade.verifiers.instructions import prose
from cascade.verifiers.instructions.rule import Rule
from cascade.verifiers.instructions.text import PUNCTUATION, listed, sentences, without_accents

__all__ = ["AFRICA", "RULES"]

AFRICA = [
    "Zimbabwe",
    "Zambia",
    "Uganda",
    "Tunisia",
    "Togo",
    "Tanzania",
    "Sudan",
    "South Sudan",
    "South Africa",
    "Somalia",
    "Sierra Leone",
    "Seychelles",
    "Senegal",
    "Sao Tome and Principe",
    "Rwanda",
    "Republic of the Congo",
    "Nigeria",
    "Niger",
    "Namibia",
    "Mozambique",
    "Morocco",
    "Mauritius",
    "Mauritania",
    "Mali",
    "Malawi",
    "Madagascar",
    "Libya",
    "Liberia",
    "Lesotho",
    "Kenya",
    "Ivory Coast",
    "Guinea-Bissau",
    "Guinea",
    "Ghana",
    "Gambia",
    "Gabon",
    "Ethiopia",
    "Eswatini",
    "Eritrea",
    "Equatorial Guinea",
    "Egypt",
    "Djibouti",
    "Democratic Republic of the Congo",
    "Comoros",
    "Chad",
    "Central African Republic",
    "Cape Verde",
    "Cameroon",
    "Burundi",
    "Burkina Faso",
    "Botswana",
    "Benin",
    "Angola",
    "Algeria",
]
"""The 54 countries in reverse alphabetical order."""

CAPITALS = listed(
    "Reykjavik Helsinki Oslo Tallinn Stockholm Riga Moscow Copenhagen Vilnius Minsk Dublin Berlin "
    "Amsterdam Warsaw London Brussels Prague Luxembourg Paris Vienna Bratislava Budapest Vaduz "
    "Chisinau Bern Ljubljana Zagreb"
)
"""Capitals of European countries north of 45 degrees, from north to south."""

_NO_PUNCTUATION = str.maketrans("", "", PUNCTUATION)


def _multiples(text: str) -> bool:
    return re.findall(r"\d+", text) == [str(n) for n in range(14, 51, 7)]


_OPTION = re.compile(r"[A-Ea-e][.|)]\s*\w")


def _questions(text: str) -> bool:
    """Four questions, from the first character on, each longer and with five lettered options."""
    if not text.startswith("Question"):
        return False
    parts = [part for part in re.split(r"Question \d+[.|):;]?", text) if part.strip()]
    lengths = []
    for part in parts:
        lines = [line.strip() for line in part.strip().split("\n")]
        options = [place for place, line in enumerate(lines) if _OPTION.match(line)]
        if len(options) != 5:
            return False
        lengths.append(len(" ".join(lines[: options[0]])))
    return len(lengths) == 4 and all(a < b for a, b in pairwise(lengths))


def _countries(text: str) -> bool:
    bare = (line.strip(PUNCTUATION + " ") for line in text.split("\n"))
    lines = [without_accents(line) for line in bare if line]
    start = next((n for n, line in enumerate(lines) if "Zimbabwe" in line), len(lines))
    named = lines[start:]
    return len(named) >= 52 and all(a >= b for a, b in pairwise(named))


def _reversed_words(text: str) -> bool:
    words = text.lower().translate(_NO_PUNCTUATION).split()
    return "bald eagle" in " ".join(reversed(words))


def _reversed_letters(text: str) -> bool:
    return "elgae dlab" in text.lower()


def _alphabet_story(text: str) -> bool:
    initials = "".join(sentence[0].lower() for sentence in sentences(text))
    return initials == "abcdefghijklmnopqrstuvwxyz"


def _capitals(text: str) -> bool:
    named = [name.strip() for name in without_accents(text).split(",")]
    return tuple(name for name in named if name) == CAPITALS


def _rows(text: str, delimiter: str = ",", quoting: bool = True) -> list[list[str]]:
    quotechar = '"' if quoting else None
    try:
        return list(csv.reader(io.StringIO(text), delimiter=delimiter, quotechar=quotechar))
    except csv.Error:
        return []


def _table(rows: list[list[str]], header: tuple[str, ...], count: int) -> bool:
    if len(rows) != count + 1 or any(len(row) != len(header) for row in rows):
        return False
    return tuple(cell.strip(' "\t') for cell in rows[0]) == header


_CITY = ("ID", "Country", "City", "Year", "Count")
_PRODUCT = ("ProductID", "Category", "Brand", "Price", "Stock")
_STUDENT = ("StudentID", "Subject", "Grade", "Semester", "Score")


def _city_csv(text: str) -> bool:
    rows = _rows(text)
    return _table(rows, _CITY, 7) and tuple(rows[0]) == _CITY


_SPECIAL = re.compile(r'"[^"]*[^\w\s"][^"]*"')


def _product_csv(text: str) -> bool:
    body = text.partition("\n")[2]
    return _table(_rows(text), _PRODUCT, 14) and _SPECIAL.search(body) is not None


def _student_csv(text: str) -> bool:
    rows = _rows(text, "\t", quoting=False)
    cells = (cell.strip() for row in rows for cell in row)
    return _table(rows, _STUDENT, 3) and all(
        len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells
    )


_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _is_date(text: str) -> bool:
    match = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", text)
    if match is None:
        return False
    year, month, day = map(int, match.groups())
    return 1769 <= year <= 1821 and 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def _dates(text: str) -> bool:
    return all(_is_date(date.strip()) for date in text.split(","))


def _quiz(rng: Random, count: int) -> str:
    questions = []
    for place in range(1, count + 1):
        options = "\n".join(f"{letter}) {prose.keyword(rng)}" for letter in "ABCDE")
        asked = " ".join(["apple"] * (2 + 2 * place))
        questions.append(f"Question {place}. {asked}?\n{options}")
    return "\n\n".join(questions)


def _csv_text(rng: Random, header: tuple[str, ...], count: int, quote: bool = False) -> str:
    def cell(text: str) -> str:
        return f'"{text}"' if quote else text

    rows = [header, *[tuple(prose.keywords(rng, len(header))) for _ in range(count)]]
    return "\n".join(("\t" if quote else ",").join(map(cell, row)) for row in rows)


def _product_text(rng: Random) -> str:
    return _csv_text(rng, _PRODUCT, 13) + '\n1,"R&D",apple,2,3'


def _story(rng: Random, letters: str) -> str:
    return " ".join(f"{letter.upper()}{prose.words(rng, 2)}." for letter in letters)


_LETTERS = "abcdefghijklmnopqrstuvwxyz"

RULES = (
    Rule(
        "custom:multiples",
        _multiples,
        "Count from 10 to 50 and print the multiples of 7 only.",
        lambda rng: rng.choice((", ", " ", "\n")).join(("14", "21", "28", "35", "42", "49")),
        lambda rng: "14, 21, 28, 35, 42",
    ),
    Rule(
        "custom:mcq_count_length",
        _questions,
        'Write 4 multiple choice questions about the art of the 20th century, headed "Question" '
        "and a number, with 5 options each, every question longer than the one before it, and "
        "nothing else.",
        lambda rng: _quiz(rng, 4),
        lambda rng: _quiz(rng, rng.choice((3, 5))),
    ),
    Rule(
        "custom:reverse_newline",
        _countries,
        "List the countries of Africa in reverse alphabetical order, one on each line.",
        lambda rng: "\n".join(sorted(AFRICA, reverse=True)),
        lambda rng: "\n".join(sorted(AFRICA)),
    ),
    Rule(
        "custom:word_reverse",
        _reversed_words,
        "Say which animal is the national symbol of the US, with the words in reverse order.",
        lambda rng: "symbol national the is eagle bald The",
        lambda rng: "The bald eagle is the national symbol",
    ),
    Rule(
        "custom:character_reverse",
        _reversed_letters,
        "Say which animal is the national symbol of the US, with the letters in reverse order.",
        lambda rng: "elgae dlab ehT",
        lambda rng: "The bald eagle",
    ),
    Rule(
        "custom:sentence_alphabet",
        _alphabet_story,
        "Tell a story in 26 sentences that begin with the letters of the alphabet in order.",
        lambda rng: _story(rng, _LETTERS),
        lambda rng: _story(rng, _LETTERS[:-1]),
    ),
    Rule(
        "custom:european_capitals_sort",
        _capitals,
        "List the capitals of the European countries north of 45 degrees of latitude, without "
        "their countries, from north to south, with commas between them.",
        lambda rng: ", ".join(CAPITALS),
        lambda rng: ", ".join(rng.sample(CAPITALS, len(CAPITALS) - 1)),
    ),
    Rule(
        "custom:csv_city",
        _city_csv,
        f"Write 7 rows of comma-delimited CSV data with the columns {', '.join(_CITY)}.",
        lambda rng: _csv_text(rng, _CITY, 7),
        lambda rng: _csv_text(rng, _CITY, 6),
    ),
    Rule(
        "custom:csv_special_character",
        _product_csv,
        f"Write 14 rows of comma-delimited CSV data with the columns {', '.join(_PRODUCT)}; put "
        "a field with a special character in double quotes.",
        _product_text,
        lambda rng: _csv_text(rng, _PRODUCT, 14),
    ),
    Rule(
        "custom:csv_quotes",
        _student_csv,
        f"Write 3 rows of tab-delimited CSV data with the columns {', '.join(_STUDENT)} and every "
        "field in double quotes.",
        lambda rng: _csv_text(rng, _STUDENT, 3, quote=True),
        lambda rng: _csv_text(rng, _STUDENT, 3),
    ),
    Rule(
        "custom:date_format_list",
        _dates,
        "List the days on which Napoleon's battles began as YYYY-MM-DD, with commas between them, "
        "and nothing else.",
        lambda rng: "1796-04-12, 1805-12-02, 1815-06-18",
        lambda rng: rng.choice(("1796-04-12, 12 April 1796", "1805-13-02", "1700-01-01")),
    ),
)
