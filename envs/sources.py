"""The benchmark task sets: where each is published, and how its rows become tasks.

Ids are stable across the hub and local files: contest sets are numbered from 1 in the contest's
order (AIME I is 1 to 15, AIME II 16 to 30), sets without ids are numbered from 0 in file order.
Licences are those of the publishers; nothing is redistributed with this package.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from cascade.envs.prompts import MATH_BOXED
from cascade.envs.rows import Row, first_field, task_of_row
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError
from cascade.types import Message, Task
from cascade.verifiers.choice import format_prompt

__all__ = ["SOURCES"]

_AIME_ID = re.compile(r"(?:\d{4}-)?(I{1,2})-(\d{1,2})")
_LETTERS = "ABCDEFGHIJ"


def _math_task(task_id: str, row: Row, answer: str) -> Task:
    if "messages" in row or "responses_create_params" in row:
        return task_of_row(row, 0)
    problem = str(first_field(row, ("problem", "question", "Problem"), "problem"))
    message: Message = {"role": "user", "content": MATH_BOXED.format(problem=problem)}
    metadata = {"problem": problem}
    for field in ("subject", "level", "problem_type", "url"):
        if row.get(field) is not None:
            metadata[field] = row[field]
    return Task(task_id, (message,), answer, metadata=metadata)


def _contest(row: Row, index: int) -> Task:
    """A contest problem; two files of 15 are parts I and II."""
    answer = str(first_field(row, ("answer", "Answer"), "answer"))
    given = _AIME_ID.fullmatch(str(row.get("ID", "")))
    number = index + 1
    if given:
        number = int(given[2]) + (15 if given[1] == "II" else 0)
    return _math_task(str(number), row, answer)


def _math500(row: Row, index: int) -> Task:
    return _math_task(
        str(row.get("unique_id") or index), row, str(first_field(row, ("answer",), "answer"))
    )


def _gsm8k(row: Row, index: int) -> Task:
    """The answer is what follows the last ``####`` of the worked solution."""
    solution = str(first_field(row, ("answer",), "answer"))
    return _math_task(str(index), row, solution.rpartition("####")[2].strip().replace(",", ""))


def _choice_task(task_id: str, question: str, options: list[str], right: int, row: Row) -> Task:
    message: Message = {"role": "user", "content": format_prompt("boxed", question, options)}
    metadata = {"problem": question}
    for field in ("category", "Subdomain", "High-level domain"):
        if row.get(field) is not None:
            metadata[field] = row[field]
    reference = {"answer": _LETTERS[right], "options": options}
    return Task(task_id, (message,), reference, metadata=metadata)


def _gpqa(row: Row, index: int) -> Task:
    """The four options in an order drawn by the record's id, the same in every run."""
    names = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
    texts = [str(first_field(row, (name,), name)).strip() for name in names]
    task_id = str(row.get("Record ID") or index)
    order = list(range(4))
    random.Random(f"gpqa/{task_id}").shuffle(order)
    question = str(first_field(row, ("Question",), "question")).strip()
    return _choice_task(task_id, question, [texts[i] for i in order], order.index(0), row)


def _mmlu_pro(row: Row, index: int) -> Task:
    options = [str(option) for option in first_field(row, ("options",), "options")]
    letter = str(first_field(row, ("answer",), "answer"))
    if letter not in _LETTERS[: len(options)]:
        raise DataError(f"field 'answer' is {letter!r}, but there are {len(options)} options")
    question = str(first_field(row, ("question",), "question"))
    task_id = str(row.get("question_id") or index)
    return _choice_task(task_id, question, options, _LETTERS.index(letter), row)


def _code(row: Row, index: int) -> Task:
    """A row of any form of code problem; read by `cascade.envs.code`, loaded at the first row."""
    from cascade.envs.code.tasks import code_task

    return code_task(row, index)


def _instructions(row: Row, index: int) -> Task:
    """A row of IFEval, IFBench or IF-RLVR; its constraints are checked as it is loaded."""
    from cascade.envs.instruction_following.tasks import instruction_task

    return instruction_task(row, index)


_MATHARENA = "CC-BY-NC-SA-4.0"

SOURCES: Mapping[str, TaskSource] = {
    source.name: source
    for source in (
        TaskSource(
            name="aime24", hub="Maxwell-Jia/AIME_2024", split="train", size=30, row=_contest,
            files=("math_contests/aime_2024_I.jsonl", "math_contests/aime_2024_II.jsonl"),
            licence="MIT (problems: MAA)",
        ),
        TaskSource(
            name="aime25", hub="MathArena/aime_2025", split="train", size=30, row=_contest,
            files=("math_contests/aime_2025_I.jsonl", "math_contests/aime_2025_II.jsonl"),
            licence=f"{_MATHARENA} (problems: MAA)",
        ),
        TaskSource(
            name="aime26", hub="MathArena/aime_2026", split="train", size=30, row=_contest,
            files=("math_contests/aime_2026_I.jsonl", "math_contests/aime_2026_II.jsonl"),
            licence=f"{_MATHARENA} (problems: MAA)",
        ),
        TaskSource(
            name="hmmt_feb25", hub="MathArena/hmmt_feb_2025", split="train", size=30, row=_contest,
            files=("math_contests/hmmt_feb_2025.jsonl",), licence=f"{_MATHARENA} (problems: HMMT)",
        ),
        TaskSource(
            name="math500", hub="HuggingFaceH4/MATH-500", size=500, row=_math500,
            files=("math_contests/math500.jsonl.gz",), licence="MIT",
        ),
        TaskSource(
            name="gsm8k", hub="openai/gsm8k", config="main", size=1319, row=_gsm8k,
            files=("gsm8k_openai/test.jsonl.gz",), licence="MIT",
        ),
        TaskSource(
            name="gpqa_diamond", hub="Idavidrein/gpqa", config="gpqa_diamond", split="train",
            size=198, row=_gpqa, licence="CC-BY-4.0 (gated: do not publish the questions)",
        ),
        TaskSource(
            name="ifeval", hub="google/IFEval", split="train", size=541, row=_instructions,
            files=("ifeval_gpt4/input_data.jsonl.gz",), licence="Apache-2.0",
        ),
        TaskSource(
            name="ifbench", hub="allenai/IFBench_test", split="train", size=300,
            row=_instructions, files=("ifbench/IFBench_test.jsonl.gz",), licence="ODC-BY-1.0",
        ),
        TaskSource(
            name="if_multi_constraints", hub="allenai/IF_multi_constraints_upto5", split="train",
            row=_instructions, licence="ODC-BY-1.0",
        ),
        TaskSource(
            name="humaneval", hub="openai/openai_humaneval", size=164, row=_code,
            files=("humaneval/HumanEval.jsonl.gz",), licence="MIT",
        ),
        TaskSource(
            name="mbpp", hub="google-research-datasets/mbpp", config="full", row=_code, size=974,
            split="prompt+test+validation+train",
            files=("mbpp/mbpp.jsonl.gz",), licence="CC-BY-4.0",
        ),
        TaskSource(
            # The hub repository is a script that `datasets` no longer runs: its files are read.
            name="livecodebench", hub="livecodebench/code_generation_lite", size=1055, row=_code,
            hub_files=tuple(f"test{n}.jsonl" for n in ("", 2, 3, 4, 5, 6)),
            files=tuple(f"livecodebench/test{n}.jsonl" for n in ("", 2, 3, 4, 5, 6)),
            licence="CC, as its card says (problems: AtCoder, LeetCode, Codeforces)",
        ),
        TaskSource(
            name="mmlu_pro", hub="TIGER-Lab/MMLU-Pro", size=12_032, row=_mmlu_pro, licence="MIT",
        ),
    )
}  # fmt: skip
