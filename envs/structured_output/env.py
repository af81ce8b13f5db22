"""Structured output: one document in a named format, judged by its schema."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from typing import Any, ClassVar

from cascade.envs.base import SingleTurnEnv, Tasks
from cascade.errors import ConfigError
from cascade.types import Task
from cascade.verifiers import schema

__all__ = ["StructuredOutputEnv"]


class StructuredOutputEnv(SingleTurnEnv):
    """A request for one JSON, YAML, XML, TOML or CSV document that satisfies a JSON Schema.

    A task's reference is ``{"schema", "format"}`` or NeMo-Gym's ``schema_str`` and ``schema_type``.

    Args:
        tasks: see `TextEnv`; generated schemas if not given.
        strict: all properties required and no others allowed, as in the published recipe.
        data_dir, render_mode: see `TextEnv`.
    """

    default_tasks: ClassVar[Tasks] = "mini_structured_output"

    def __init__(
        self,
        tasks: Tasks | None = None,
        *,
        strict: bool = True,
        data_dir: str | os.PathLike[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(tasks, data_dir=data_dir, render_mode=render_mode)
        self.verifier = schema.SchemaVerifier(strict=strict)

    def reference(self, task: Task) -> Mapping[str, Any]:
        """Return the schema and the format."""
        given: Mapping[str, Any] = task.reference
        return given

    def oracle_response(self, task: Task) -> str | None:
        """Return a generated document in a fence; None if the schema is beyond the generator."""
        if "solution" in task.metadata:
            return str(task.metadata["solution"])
        given = self.reference(task)
        if not isinstance(given.get("schema"), Mapping):
            return None
        try:
            document = schema.generate_document(given["schema"], random.Random(task.id))
            format = given.get("format", "json")
            return f"```{format}\n{schema.render(document, format)}\n```"
        except ConfigError:
            return None

    def wrong_response(self, task: Task) -> str:
        """Return a document that no strict schema of an object or array allows."""
        format = str(self.reference(task).get("format", "json")).lower()
        return f"```{format}\n17\n```"

    def responds_quickly(self, text: str) -> bool:
        """Short documents are checked in less than a millisecond."""
        return len(text) < 2_000
