"""Rules about letter case, punctuation, language, and how a response or sentence begins and ends.

Behaviour after google-research `instruction_following_eval` (as in mlfoundations/evalchemy
6ed6741), open-instruct `IFEvalG` e6c3044 and NVIDIA-NeMo/Gym `verifif` 07d6b0d, all Apache-2.0.
"""

from __future__ import annotations

from random import Random

from cascade.verifiers.instructions import prose
from cascade.verifiers.instructions.language import LANGUAGES, detect
from cascade.verifiers.instructions.rule import (
    Rule,
    compare,
    language_code,
    phrase,
    relation,
    whole,
)
from cascade.verifiers.instructions.text import PUNCTUATION, sentences, tokens

__all__ = ["RULES"]

_MARKS = PUNCTUATION + "“”‘’«»…—–¡¿"


def _language(text: str, *, language: str) -> bool:
    return detect(text) == language


def _upper(text: str) -> bool:
    return text.isupper() and detect(text) == "en"


def _lower(text: str) -> bool:
    return text.islower() and detect(text) == "en"


def _capital_words(text: str, *, capital_frequency: int, capital_relation: str) -> bool:
    count = sum(token.isupper() for token in tokens(text))
    return compare(count, capital_relation, capital_frequency)


def _without(mark: str) -> Rule:
    names = {",": ("no_comma", "commas"), ".": ("punctuation_dot", "dots")}
    name, plural = names.get(mark, ("punctuation_exclamation", "exclamation marks"))
    return Rule(
        f"punctuation:{name}",
        lambda text: mark not in text,
        f"Use no {plural} at all.",
        lambda rng: prose.words(rng, 4),
        lambda rng: f"{prose.words(rng, 2)}{mark} {prose.words(rng, 2)}",
        blind=True,
    )


def _ends_with(text: str, *, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.lower())


def _starts_with(text: str, *, start_phrase: str) -> bool:
    return text.lstrip(PUNCTUATION + " \n").lower().startswith(start_phrase.lower())


def _quoted(text: str) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == '"' and text[-1] == '"'


def _bare(word: str) -> str:
    return word.strip(_MARKS).lower()


def _opens(text: str, word: str) -> bool:
    wanted = [_bare(part) for part in word.split()]
    return [_bare(part) for part in text.split(None, len(wanted))[: len(wanted)]] == wanted


def _closes(text: str, word: str) -> bool:
    wanted = [_bare(part) for part in word.split()]
    return [_bare(part) for part in text.rsplit(None, len(wanted))[-len(wanted) :]] == wanted


def _first_word(text: str, *, first_word: str) -> bool:
    return _opens(text, first_word)


def _first_words(text: str, *, first_word: str) -> bool:
    return all(_opens(sentence, first_word) for sentence in sentences(text))


def _last_word(text: str, *, last_word: str) -> bool:
    return _closes(text, last_word)


def _last_words(text: str, *, last_word: str) -> bool:
    return all(_closes(sentence, last_word) for sentence in sentences(text))


def _other_language(rng: Random, language: str) -> str:
    return LANGUAGES[rng.choice([code for code in LANGUAGES if code != language])].sample


def _shouted(rng: Random, count: int) -> str:
    return f"{prose.words(rng, count).upper()} {prose.words(rng, 3)}".strip()


def _begun(rng: Random, word: str) -> str:
    return " ".join(f"{prose.capitalised(word)} {prose.words(rng, 3, word)}." for _ in range(2))


def _ended(rng: Random, word: str) -> str:
    return " ".join(f"{prose.capitalised(prose.words(rng, 3, word))} {word}." for _ in range(2))


RULES = (
    Rule(
        "language:response_language",
        _language,
        "Write the entire response in the language with the ISO 639-1 code {language}.",
        lambda rng, language: LANGUAGES[language].sample,
        _other_language,
        (language_code("language"),),
    ),
    Rule(
        "change_case:english_capital",
        _upper,
        "Write the entire response in English and in capital letters.",
        lambda rng: prose.english(rng).upper(),
        lambda rng: prose.capitalised(prose.english(rng)),
    ),
    Rule(
        "change_case:english_lowercase",
        _lower,
        "Write the entire response in English and in lower case.",
        prose.english,
        lambda rng: prose.capitalised(prose.english(rng)),
    ),
    Rule(
        "change_case:capital_word_frequency",
        _capital_words,
        "Let words in capital letters appear {capital_relation} {capital_frequency} times.",
        lambda rng, capital_frequency, capital_relation: _shouted(
            rng, capital_frequency - (capital_relation == "less than")
        ),
        lambda rng, capital_frequency, capital_relation: _shouted(
            rng, capital_frequency - (capital_relation != "less than")
        ),
        (whole("capital_frequency", 2, 5), relation("capital_relation")),
    ),
    _without(","),
    _without("."),
    _without("!"),
    Rule(
        "startend:end_checker",
        _ends_with,
        "End your response with exactly this phrase: {end_phrase}",
        lambda rng, end_phrase: f"{prose.sentence(rng, 3)} {end_phrase}",
        lambda rng, end_phrase: f"{end_phrase} {prose.words(rng, 3, end_phrase)}",
        (phrase("end_phrase"),),
    ),
    Rule(
        "startend:start_checker",
        _starts_with,
        "Begin your response with exactly this phrase: {start_phrase}",
        lambda rng, start_phrase: f"{start_phrase} {prose.words(rng, 3)}",
        lambda rng, start_phrase: f"{prose.words(rng, 3, start_phrase)} {start_phrase}",
        (phrase("start_phrase"),),
    ),
    Rule(
        "startend:quotation",
        _quoted,
        "Wrap the entire response in double quotation marks.",
        lambda rng: f'"{prose.sentence(rng, 4)}"',
        lambda rng: f'"{prose.words(rng, 2)}" {prose.words(rng, 2)}',
    ),
    Rule(
        "first_word:first_word_answer",
        _first_word,
        "Let the first word of your response be {first_word}.",
        lambda rng, first_word: f"{prose.capitalised(first_word)} {prose.words(rng, 3)}.",
        lambda rng, first_word: f"{prose.words(rng, 3, first_word)} {first_word}.",
        (phrase("first_word"),),
    ),
    Rule(
        "first_word:first_word_sent",
        _first_words,
        "Let the first word of every sentence be {first_word}.",
        lambda rng, first_word: _begun(rng, first_word),
        lambda rng, first_word: f"{_begun(rng, first_word)} {prose.sentence(rng, 3, first_word)}",
        (phrase("first_word"),),
    ),
    Rule(
        "last_word:last_word_answer",
        _last_word,
        "Let the last word of your response be {last_word}.",
        lambda rng, last_word: f"{prose.words(rng, 3)} {last_word}.",
        lambda rng, last_word: f"{last_word} {prose.sentence(rng, 3, last_word)}",
        (phrase("last_word"),),
    ),
    Rule(
        "last_word:last_word_sent",
        _last_words,
        "Let the last word of every sentence, marks aside, be {last_word}.",
        lambda rng, last_word: _ended(rng, last_word),
        lambda rng, last_word: f"{_ended(rng, last_word)} {prose.sentence(rng, 3, last_word)}",
        (phrase("last_word"),),
    ),
)
