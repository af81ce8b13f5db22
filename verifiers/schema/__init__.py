"""Structured output: is the document in a response valid under a JSON Schema?

    from cascade.verifiers import schema

    verdict = schema.verify(response, {"schema": {...}, "format": "json"})

JSON, YAML, XML, TOML and CSV are read as JSON data (rules in `yaml_text`, `xml_text`, `flat_text`,
`typing_by_schema`) and checked as Nemotron-Cascade 2's structured-output reward does: reward 1 if
the document parses and satisfies the strict form of the schema, else 0; what the values say is not
judged. A document that two readers could understand in two ways (duplicate keys, NaN, `1e999`, a
YAML bomb, an XML document type) is WRONG, as is one beyond `Limits`; work is bounded by the same
limits. Rows of NeMo-Gym (``schema_str``, ``schema_type``) are references too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.types import Verdict
from cascade.verifiers.schema.compiled import CompiledSchema, compile_schema
from cascade.verifiers.schema.extraction import FORMAT_NAMES, Extraction, Format, extract
from cascade.verifiers.schema.flat_text import parse_csv, parse_toml
from cascade.verifiers.schema.generation import (
    Mutation,
    generate_document,
    generate_schema,
    mutate_document,
)
from cascade.verifiers.schema.json_text import parse_json
from cascade.verifiers.schema.limits import DEFAULT_LIMITS, DocumentError, Limits, Undecided
from cascade.verifiers.schema.rendering import render
from cascade.verifiers.schema.structure import strict_form
from cascade.verifiers.schema.typing_by_schema import typed_csv, typed_xml
from cascade.verifiers.schema.xml_text import parse_xml
from cascade.verifiers.schema.yaml_text import parse_yaml

__all__ = [
    "FORMAT_NAMES",
    "PUBLISHED",
    "DocumentError",
    "Format",
    "Limits",
    "Mutation",
    "SchemaVerifier",
    "extract",
    "generate_document",
    "generate_schema",
    "mutate_document",
    "parse",
    "render",
    "strict_form",
    "verify",
]

_PARSERS = {
    "json": parse_json,
    "yaml": parse_yaml,
    "xml": parse_xml,
    "toml": parse_toml,
    "csv": parse_csv,
}


def parse(text: str, format: Format, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return `text`, one document, as JSON data. XML and CSV leaves are strings.

    Raises:
        DocumentError: it is not one document of that format, or it breaks a limit.
        UnknownNameError: there is no such format.
    """
    if format not in _PARSERS:
        raise UnknownNameError.near("format", str(format), FORMAT_NAMES)
    if len(text) > limits.max_chars:
        raise DocumentError(f"{len(text)} characters, more than {limits.max_chars}")
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise DocumentError("a lone surrogate is not a character", line) from None
    return _PARSERS[format](text, limits)


@dataclass(frozen=True, slots=True)
class SchemaVerifier:
    """Judges responses against the schema in each reference. Any thread may call it."""

    strict: bool = True
    """Every object must have all of its properties and no others, as in the published recipe."""
    extraction: Extraction = "auto"
    """Which text is the document: `extraction`'s rule, or "whole" for the whole answer."""
    formats: bool = True
    """Whether ``format`` (date, email, …) is a condition or only a note."""
    limits: Limits = DEFAULT_LIMITS
    """What one document may cost."""

    def __post_init__(self) -> None:
        """Refuse a rule that does not exist."""
        if self.extraction not in ("auto", "whole"):
            raise ConfigError(f'extraction must be "auto" or "whole", got {self.extraction!r}')

    def __call__(self, response: str, reference: Mapping[str, Any], /) -> Verdict:
        """Judge `response`; the reference is `{"schema", "format"}` or NeMo-Gym's names of them.

        Raises:
            DataError: the reference has no schema, a broken one, or an unknown format.
        """
        format = _format_of(reference)
        compiled = self.compiled(reference)
        try:
            document = extract(response, format, self.extraction)
        except DocumentError as error:
            return Verdict.no_answer(str(error))
        try:
            data = parse(document, format, self.limits)
            if format == "xml":
                data = typed_xml(data, compiled)
            elif format == "csv":
                data = typed_csv(data, compiled)
            problem = compiled.problem(data)
        except DocumentError as error:
            return Verdict.wrong(_shown(document), f"not {format.upper()}: {error}")
        except Undecided as error:
            return Verdict.fault(str(error), _shown(document))
        if problem is not None:
            return Verdict.wrong(_shown(document), problem)
        return Verdict.correct(_shown(document))

    def compiled(self, reference: Mapping[str, Any]) -> CompiledSchema:
        """Return the reference's schema, compiled; the same content is compiled once.

        Raises:
            DataError: the reference has no schema, or a broken one.
        """
        schema = reference.get("schema", reference.get("schema_str"))
        if schema is None:
            raise DataError('the reference has neither "schema" nor "schema_str"')
        return compile_schema(schema, strict=self.strict, formats=self.formats, limits=self.limits)


def verify(response: str, reference: Mapping[str, Any], *, strict: bool = True) -> Verdict:
    """Judge `response` with the default `SchemaVerifier`, strict or not."""
    return (_STRICT if strict else _LENIENT)(response, reference)


PUBLISHED = SchemaVerifier(extraction="whole", formats=False)
"""The rule of NeMo-Gym's `structured_outputs`: the answer is the document, formats are notes."""

_MAX_SHOWN = 20_000
_STRICT = SchemaVerifier()
_LENIENT = SchemaVerifier(strict=False)


def _format_of(reference: Mapping[str, Any]) -> Format:
    name = reference.get("format", reference.get("schema_type", "json"))
    for format in FORMAT_NAMES:
        if name == format or str(name).lower() == format:
            return format
    raise DataError(f"the reference's format {name!r} is none of {', '.join(FORMAT_NAMES)}")


def _shown(document: str) -> str:
    """The document, as text that can be written to any file; of a huge one, the beginning."""
    shown = document if len(document) <= _MAX_SHOWN else document[:_MAX_SHOWN] + " …"
    return shown if shown.isascii() else shown.encode("utf-8", "replace").decode()
