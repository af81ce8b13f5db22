"""Every rule with texts that follow it and texts that do not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.verifiers import instructions
from cascade.verifiers.instructions import RULES, SOUND_RULES, Constraint
from cascade.verifiers.instructions.language import LANGUAGES, detect
from cascade.verifiers.instructions.syllables import syllables
from cascade.verifiers.instructions.text import listed, sentences, tokens
from cascade.verifiers.instructions.verbs import is_verb

SEEDS = st.integers(0, 2**32 - 1)


def follows(id_: str, text: str, sound: bool = False, **kwargs: Any) -> bool:
    """Whether `text` follows one rule, arguments read as from a row."""
    standard = "sound" if sound else "published"
    row = [{"id": id_, "kwargs": kwargs}]
    verdict = instructions.InstructionVerifier(standard=standard)(text, row)  # type: ignore[arg-type]
    assert not verdict.is_fault, verdict.reason
    return verdict.reward == 1.0


@pytest.mark.parametrize("id_", RULES)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_the_witness_passes_and_the_counterexample_fails(id_: str, seed: int) -> None:
    """Under both standards, for any arguments that are drawn."""
    rng = Random(seed)
    constraint = instructions.draw(id_, rng)
    good = instructions.witness(constraint, rng)
    bad = instructions.counterexample(constraint, rng)
    for table in (RULES, SOUND_RULES):
        assert table[id_].check(good, **constraint.arguments), good
        assert not table[id_].check(bad, **constraint.arguments), bad


@pytest.mark.parametrize("id_", RULES)
@settings(max_examples=3, deadline=None)
@given(seed=SEEDS)
def test_the_description_names_every_argument(id_: str, seed: int) -> None:
    """A task whose wording leaves an argument out could not be done."""
    constraint = instructions.draw(id_, Random(seed))
    wording = instructions.describe(id_, **constraint.arguments)
    assert "\n" not in wording
    for value in constraint.arguments.values():
        for part in value if isinstance(value, tuple) else (value,):
            shown = int(part) if isinstance(part, float) else part
            assert str(shown) in wording


@pytest.mark.parametrize("id_", RULES)
def test_drawn_arguments_are_those_the_rule_declares(id_: str) -> None:
    rule = RULES[id_]
    drawn = instructions.draw(id_, Random(0))
    assert set(drawn.arguments) == {arg.name for arg in rule.arguments if arg.used}
    parsed = instructions.load_constraints([{"id": id_, "kwargs": dict(drawn.arguments)}])
    assert parsed == (Constraint(id_, drawn.arguments),)


CASES: list[tuple[str, dict[str, Any], str, bool]] = [
    ("keywords:existence", {"keywords": ["c++", "(x)"]}, "I like C++ and (x).", True),
    ("keywords:forbidden_words", {"forbidden_words": ["c++"]}, "I like C++, too.", False),
    ("keywords:forbidden_words", {"forbidden_words": ["art"]}, "a start", True),
    ("keywords:letter_frequency",
     {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "# a\n# b", True),
    ("keywords:exclude_word_harder", {"keyword": "video"}, "A nice video.", False),
    ("keywords:palindrome", {}, "I am a cat", False),
    ("keywords:start_end", {}, "Owl is owl.", False),
    ("keywords:keyword_specific_position", {"keyword": "owl", "n": 2, "m": 3},
     "One. Well, the owl sat.", True),
    ("count:count_unique", {}, "The cat saw the dog.", False),
    ("count:count_unique", {}, "One, two, three.", True),
    ("count:counting_composition", {"n_sent": 1, "n_words": 2},
     "Go home.\n* * *\nEat well.\n* * *\nSleep now.", True),
    ("count:conjunctions", {"small_n": 2}, "And and AND and, and.", False),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Owl"}, "\n\nA b.\n\nOwl c.", True),
    ("length_constraints:nth_paragraph_first_word",
     {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "owl"}, "Owl b.", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\n\n***\nb", False),
    ("detectable_format:title", {}, "<<>>", False),
    ("detectable_format:title", {}, "<< >> <a>", False),
    ("detectable_format:bigram_wrapping", {}, "word", False),
    ("detectable_format:square_brackets", {}, "[] []", False),
    ("detectable_format:sentence_hyphens", {}, "One sentence only", False),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', True),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\np.p. s done", True),
    ("new:copy_span_idx", {"prompt_to_repeat": "abcdefgh", "n_start": 1, "n_end": 3}, "bcd", True),
    ("new:copy_span_idx", {"prompt_to_repeat": "abcdefgh", "n_start": 1, "n_end": 3}, "bc", True),
    ("repeat:repeat_span", {"prompt_to_repeat": "abcdefgh", "n_start": 1, "n_end": 3}, "bc", False),
    ("new:copy_span_idx", {"prompt_to_repeat": "abcdefgh", "n_start": 0, "n_end": 3}, "abc", True),
    ("first_word:first_word_answer", {"first_word": "owl"}, "Owl, that is it.", True),
    ("last_word:last_word_answer", {"last_word": "owl"}, "It is **owl**.", True),
    ("change_case:english_capital", {}, "12345 !!", False),
    ("change_case:english_capital", {}, "XQZV KJWP VVXK QQJZ", False),
    ("change_case:english_lowercase", {}, "1, 2, 3", False),
    ("language:response_language", {"language": "en"}, "12345 !!", False),
    ("words:start_verb", {}, "**Write** it down.", True),
    ("words:start_verb", {}, "Grant Park is nice.", False),
    ("format:options", {"options": "I know or I don't know"}, "I don't know.", True),
    ("format:options", {"options": "a), b), c), d)"}, "b)", True),
    ("format:options", {"options": "a), b), c), d)"}, "b", False),
    ("custom:csv_city", {}, "\x00,b", False),
]  # fmt: skip


@pytest.mark.parametrize(("id_", "kwargs", "text", "expected"), CASES)
def test_the_rule_reads_the_case_as_its_wording_does(
    id_: str, kwargs: dict[str, Any], text: str, expected: bool
) -> None:
    """Cases that published checkers have been found to get wrong, and their neighbours."""
    assert follows(id_, text, **kwargs) is expected


SOUND_CASES: list[tuple[str, dict[str, Any], str]] = [
    ("ratio:sentence_type", {}, "no sentence that ends"),
    ("ratio:sentence_balance", {}, "no sentence that ends"),
    ("ratio:sentence_words", {}, "Cat. Cat. Cat."),
    ("sentence:increment", {"small_n": 2}, "One sentence."),
    ("sentence:alliteration_increment", {}, "One sentence."),
    ("words:last_first", {}, "One sentence."),
    ("words:odd_even_syllables", {}, "word"),
    ("words:paragraph_last_first", {}, "word\nother"),
    ("words:palindrome", {}, "level " * 10),
    ("words:palindrome", {}, "11111 " * 10),
    ("format:line_indent", {}, "one line"),
    ("format:quote_unquote", {}, "no quotation at all"),
    ("format:sub-bullets", {}, "no bullet at all"),
    ("format:list", {"sep": "..."}, "well... so..."),
    ("format:output_template", {}, "Future Outlook: My Answer: My Conclusion:"),
    ("count:words_japanese", {"N": 5}, "three words only"),
    ("custom:date_format_list", {}, "1805-02-29"),
    ("custom:reverse_newline", {}, "Zimbabwe\n" + "\n".join(["A"] * 60)),
    ("detectable_format:json_format", {}, "5"),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[] [ ]"),
]


@pytest.mark.parametrize(("id_", "kwargs", "text"), SOUND_CASES)
def test_sound_fails_what_the_published_checker_lets_through(
    id_: str, kwargs: dict[str, Any], text: str
) -> None:
    """The difference is real: each text passes as published."""
    assert follows(id_, text, **kwargs)
    assert not follows(id_, text, sound=True, **kwargs)


@pytest.mark.parametrize(
    ("id_", "text"),
    [
        ("format:title_case", "The Lord of the Rings"),
        ("format:sub-bullets", "* **Bold** item\n  - below"),
        ("words:start_verb", "Conceive a plan."),
    ],
)
def test_sound_accepts_what_the_published_checker_wrongly_fails(id_: str, text: str) -> None:
    assert not follows(id_, text)
    assert follows(id_, text, sound=True)


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_sentence_is_known_by_its_language(code: str) -> None:
    """Also in capitals, and with a line of code beside it."""
    sample = LANGUAGES[code].sample
    assert detect(sample) == code
    assert detect(f"{sample}\n```python\nfor item in the_list: print(item)\n```") == code


@pytest.mark.parametrize("text", ["", "12 34", "!?", "\ud800\udfff", "zxqv kjwp vvxk qqjz wqxz"])
def test_what_has_no_language_is_in_none(text: str) -> None:
    assert detect(text) is None


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith paid $3.50. He left.", 2),
        ("It was 5 p.m. and late. Was it? Yes!", 3),
        ("See e.g. the U.S. law. It holds.", 2),
        ('He said "go." Then he went.', 2),
        ("Wait... what? No.", 2),
        ("これは文です。これもです。", 2),
        ("no end", 1),
        ("", 0),
        ("...", 1),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, count: int) -> None:
    assert len(sentences(text)) == count


def test_tokens_follow_the_treebank_convention() -> None:
    assert list(tokens("Don't go, it's well-known (U.S.).")) == [
        "Do", "n't", "go", ",", "it", "'s", "well-known", "(", "U.S.", ")", ".",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "count"),
    [("cat", 1), ("table", 2), ("makes", 1), ("wanted", 2), ("largest", 2), ("testing", 2),
     ("beautiful", 3), ("hopeful", 2), ("beyond", 2), ("radio", 3), ("university", 5), ("2nd", 0)],
)  # fmt: skip
def test_syllables_are_counted_as_spoken(word: str, count: int) -> None:
    assert syllables(word) == count


def test_verbs_are_known_in_their_forms() -> None:
    known = "write writes wrote written writing stopped tries rewrite isn't Identify Whirring"
    assert all(map(is_verb, listed(known)))
    assert not any(map(is_verb, listed("the beautiful morning apple during quickly")))
