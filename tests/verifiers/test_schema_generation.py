"""Generated schemas and documents: what is made right is right, what is broken is wrong."""

from __future__ import annotations

import json
import random

import pytest
from jsonschema import Draft202012Validator

from cascade.errors import ConfigError
from cascade.verifiers import schema
from cascade.verifiers.schema import Format
from cascade.verifiers.schema.generation import DIFFICULTIES


@pytest.mark.parametrize("format", schema.FORMAT_NAMES)
@pytest.mark.parametrize("difficulty", DIFFICULTIES)
def test_a_generated_document_passes_in_its_format(format: Format, difficulty: int) -> None:
    """Written out, read back and typed by the schema, it is the same and it is valid."""
    rng = random.Random(f"{format}{difficulty}")
    for _ in range(10):
        made = schema.generate_schema(rng, difficulty, format)
        document = schema.generate_document(made, rng)
        Draft202012Validator.check_schema(made)
        assert Draft202012Validator(schema.strict_form(made)).is_valid(document)
        text = schema.render(document, format)
        verdict = schema.verify(text, {"schema": made, "format": format})
        assert verdict.reward == 1, (text, made, verdict.reason)
        if format in ("json", "yaml", "toml"):
            assert schema.parse(text, format) == document


@pytest.mark.parametrize("format", schema.FORMAT_NAMES)
def test_a_mutated_document_fails_in_its_format(format: Format) -> None:
    rng = random.Random(format)
    made_any = 0
    for index in range(60):
        made = schema.generate_schema(rng, 1 + index % 5, format)
        document = schema.generate_document(made, rng)
        try:
            broken = schema.mutate_document(document, made, rng, format)
        except ConfigError:
            assert format in ("xml", "csv", "toml")
            continue
        made_any += 1
        assert not Draft202012Validator(schema.strict_form(made)).is_valid(broken.document)
        text = schema.render(broken.document, format)
        verdict = schema.verify(text, {"schema": made, "format": format})
        assert verdict.reward == 0, (broken.kind, broken.path, text, made)
    assert made_any >= 30


def test_the_same_seed_makes_the_same_schema() -> None:
    one, two = (schema.generate_schema(random.Random(5), 5) for _ in range(2))
    assert one == two
    assert schema.generate_document(one, random.Random(6)) == schema.generate_document(
        two, random.Random(6)
    )


def test_easy_tasks_fit_a_toy_model() -> None:
    """Prompts under 150 characters of schema, answers under 60, up to difficulty 2."""
    rng = random.Random(0)
    for _ in range(100):
        made = schema.generate_schema(rng, 1)
        assert len(json.dumps(made["properties"])) < 150
        assert len(schema.render(schema.generate_document(made, rng), "json")) < 60


def test_what_cannot_be_made_is_an_error() -> None:
    rng = random.Random(0)
    with pytest.raises(ConfigError):
        schema.generate_schema(rng, 6)
    with pytest.raises(ConfigError):
        schema.generate_document({"type": "string", "pattern": "x{3}"}, rng)
    with pytest.raises(ConfigError):
        schema.render({"a": None}, "toml")
    with pytest.raises(ConfigError):
        schema.render({"a": 1}, "csv")
    with pytest.raises(ConfigError):
        schema.mutate_document({}, {}, rng)
