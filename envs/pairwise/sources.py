"""Arena-Hard's questions and AlpacaEval's, put together with the baseline's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cascade.envs.rows import Row, first_field
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError
from cascade.types import Task

__all__ = ["ALPACA_EVAL", "ARENA_HARD_CREATIVE", "ARENA_HARD_V01", "ARENA_HARD_V2", "with_baseline"]

_IDS = ("uid", "question_id")


def with_baseline(rows: list[Row]) -> list[Row]:
    """Join questions with the answers of the one baseline; a row of each is told by its fields.

    Rows that bring their baseline's answer (`baseline_answer`) stay as they are. Questions of
    another category than those answered are left out.

    Raises:
        DataError: answers of several models, an answer twice, or no question with an answer.
    """
    answers: dict[str, str] = {}
    models: set[str] = set()
    questions: list[Row] = []
    for row in rows:
        if "messages" not in row and "choices" not in row:
            questions.append(row)
            continue
        name = str(first_field(row, _IDS, "uid"))
        if name in answers:
            raise DataError(f"two answers of the baseline to {name!r}")
        answers[name] = answer_of(row)
        models.add(str(row.get("model") or row.get("model_id")))
    if not answers:
        return questions
    if len(models) != 1:
        raise DataError(f"answers of one baseline are needed, got those of {sorted(models)}")
    model = models.pop()
    joined: list[Row] = [
        {**row, "baseline_answer": answers[name], "baseline_model": model}
        for row in questions
        if (name := str(first_field(row, _IDS, "uid"))) in answers
    ]
    if not joined:
        raise DataError(f"the baseline {model!r} answers none of the {len(questions):,} questions")
    return joined


def answer_of(row: Row) -> str:
    """Return the last answer of an answer file's row, in the form of v2.0 or v0.1.

    Raises:
        DataError: it holds none.
    """
    try:
        if "messages" in row:
            content: Any = row["messages"][-1]["content"]
        else:
            content = row["choices"][0]["turns"][-1]["content"]
        text = content["answer"] if isinstance(content, Mapping) else content
    except (LookupError, TypeError) as error:
        raise DataError(f"not a row of answers: {error!r}") from error
    if not isinstance(text, str):
        raise DataError(f"an answer must be text, got {type(text).__name__}")
    return text


def _question(row: Row, index: int) -> Task:
    prompt = row.get("prompt")
    if prompt is None and isinstance(row.get("turns"), list):
        prompt = row["turns"][0]["content"]
    if not isinstance(prompt, str):
        raise DataError("field 'prompt' is missing")
    reference = {
        "baseline": str(first_field(row, ("baseline_answer",), "baseline_answer")),
        "model": str(row.get("baseline_model")),
    }
    metadata = {"problem": prompt}
    for field in ("category", "subcategory", "cluster"):
        if row.get(field) is not None:
            metadata[field] = row[field]
    name = str(first_field(row, _IDS, "uid"))
    return Task(name, ({"role": "user", "content": prompt},), reference, metadata=metadata)


_HUB = "lmarena-ai/arena-hard-auto"
_LICENCE = "Apache-2.0 (answers of third-party models)"


def _arena(name: str, version: str, baseline: str, size: int) -> TaskSource:
    folder = f"data/arena-hard-{version}"
    return TaskSource(
        name=name,
        hub=_HUB,
        hub_files=(
            f"{folder}/question.jsonl",
            f"{folder}/model_answer/{baseline}.jsonl",
        ),
        files=(
            f"arena_hard_official/question_{version}.jsonl.gz",
            f"arena_hard_official/model_answer_{version}/{baseline}.jsonl.gz",
        ),
        merge=with_baseline,
        row=_question,
        licence=_LICENCE,
        size=size,
    )


ARENA_HARD_V2 = _arena("arena_hard_v2", "v2.0", "o3-mini-2025-01-31", 750)
ARENA_HARD_CREATIVE = _arena("arena_hard_v2_gemini", "v2.0", "gemini-2.0-flash-001", 750)
ARENA_HARD_V01 = _arena("arena_hard_v01", "v0.1", "gpt-4-0314", 500)


def _alpaca(row: Row, index: int) -> Task:
    """A row of the baseline's answers: dataset, instruction, output, generator."""
    question = str(first_field(row, ("instruction",), "instruction"))
    reference = {
        "baseline": str(first_field(row, ("output",), "output")),
        "model": str(row.get("generator")),
    }
    metadata = {"problem": question, "category": str(row.get("dataset"))}
    return Task(str(index), ({"role": "user", "content": question},), reference, metadata=metadata)


ALPACA_EVAL = TaskSource(
    name="alpaca_eval", hub="tatsu-lab/alpaca_eval", hub_files=("alpaca_eval_gpt4_baseline.json",),
    files=("alpaca_eval/alpaca_eval_gpt4_baseline.json",), row=_alpaca, size=805,
    licence="as tatsu-lab/alpaca_eval states, not checked (answers of a third-party model)",
)  # fmt: skip
