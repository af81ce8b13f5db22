"""No text breaks a rule, stalls it, or earns by being junk."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.types import VerdictStatus
from cascade.verifiers import instructions
from cascade.verifiers.instructions import RULES, SOUND_RULES
from cascade.verifiers.instructions.junk import junk, mutated

FLOOR = 0.01
"""Share of random texts that may follow an instruction by chance."""

HOSTILE = {
    "brackets": "[" * 10_000 + "]" * 10_000,
    "open brackets": "[" * 20_000,
    "json": '{"a":' * 10_000,
    "angles": "<<" * 10_000,
    "stars": "*" * 20_000,
    "dots": "." * 20_000 + "x",
    "dots apart": ". " * 10_000,
    "quotes": "\"'" * 10_000,
    "blank lines": "\n" * 20_000 + "x",
    "spaces": " " * 20_000 + "x",
    "surrogates": "\ud800\udfff" * 1_000,
    "right to left": "‮שלום مرحبا‬ " * 1_000,
    "combining": "é̂" * 5_000,
    "nulls": "\x00" * 10_000 + ",",
    "one word": "a" * 20_000,
    "digits": "9" * 20_000,
    "hyphens": "a-" * 10_000,
    "apostrophes": "a'" * 10_000,
    "question marks": "Question 1" * 2_000,
    "fences": "```" * 6_000,
    "emoji": "👩‍👩‍👧‍👦." * 2_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_in_bounded_time(name: str) -> None:
    """Every rule, under both standards; a quadratic one would take hours."""
    text = HOSTILE[name]
    rules = [*RULES.values(), *(r for id_, r in SOUND_RULES.items() if r is not RULES[id_])]
    for rule in rules:
        assert rule.check(text, **rule.draw(Random(1))) in (True, False), rule.id


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", ["word ", "[", "\n", "é"])
def test_ten_megabytes_are_wrong_with_a_reason(unit: str) -> None:
    text = unit * (10_000_000 // len(unit.encode()))
    row = [{"id": id_, "kwargs": rule.draw(Random(2))} for id_, rule in RULES.items()]
    verdict = instructions.verify(text, row, mode="loose", reward="fraction")
    assert verdict.reward == 0.0
    assert verdict.status in (VerdictStatus.WRONG, VerdictStatus.NO_ANSWER)
    assert verdict.reason


@settings(max_examples=30, deadline=None)
@given(text=st.text(st.characters(exclude_categories=()), max_size=200), seed=st.integers(0, 9))
def test_any_text_gets_a_verdict_from_every_rule(text: str, seed: int) -> None:
    """Lone surrogates and control characters included."""
    rng = Random(seed)
    row = [{"id": id_, "kwargs": rule.draw(rng)} for id_, rule in RULES.items()]
    for standard in ("published", "sound"):
        verifier = instructions.InstructionVerifier("loose", "fraction", standard)
        assert not verifier(text, row).is_fault


@pytest.mark.timeout(120)
def test_twenty_thousand_junk_texts_earn_nothing_above_the_floor() -> None:
    """Instructions about size or absence are apart: a text without meaning may follow them."""
    rng = Random(20_261_123)
    tried: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    demanding = [id_ for id_, rule in SOUND_RULES.items() if not rule.blind]
    for place in range(20_000):
        id_ = demanding[place % len(demanding)]
        constraint = instructions.draw(id_, rng)
        if "less than" in constraint.arguments.values():
            continue
        tried[id_] += 1
        passed[id_] += SOUND_RULES[id_].check(junk(rng), **constraint.arguments)
    assert len(tried) == len(demanding)
    above = {id_: count for id_, count in passed.items() if count > max(2, FLOOR * tried[id_])}
    assert above == {}


def test_mutated_witnesses_raise_nothing() -> None:
    rng = Random(5)
    for place in range(6_000):
        id_ = list(RULES)[place % len(RULES)]
        constraint = instructions.draw(id_, rng)
        text = mutated(rng, instructions.witness(constraint, rng))
        for table in (RULES, SOUND_RULES):
            assert table[id_].check(text, **constraint.arguments) in (True, False)
