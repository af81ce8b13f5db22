"""Code benchmarks whose rows `problem_of` does not read as they are.

Columns of EvalPlus' sets as their cards state them: task_id, prompt, canonical_solution,
entry_point and test of HumanEval+; task_id (a number), code, prompt, source_file, test_imports,
test_list and test of MBPP+.
"""

from __future__ import annotations

from pathlib import Path

from cascade.envs.rows import Beside, Row, first_field, read_rows
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError, DataNotFoundError
from cascade.types import Message, Task

__all__ = ["HUMANEVAL_PLUS", "LCB_PRO_25Q1", "LCB_PRO_25Q2", "MBPP_PLUS"]


def _code(row: Row, index: int) -> Task:
    from cascade.envs.code.tasks import code_task  # judging code takes long to load

    return code_task(row, index)


def _mbpp_plus(row: Row, index: int) -> Task:
    """EvalPlus' form: the asserts of `test_list` are shown, the program `test` judges."""
    test = row.get("test")
    shown = row.get("test_list")
    if not isinstance(test, str) or not isinstance(shown, list) or not shown:
        raise DataError("a row of MBPP+ needs the text 'test' and the list 'test_list'")
    statement = str(first_field(row, ("prompt", "text"), "prompt"))
    imports = "\n".join(str(line) for line in row.get("test_imports") or ())
    asked = _code({**row, "text": statement}, index)
    hidden = {
        "task_id": row.get("task_id", index),
        "text": statement,
        "test_list": [f"{imports}\n{test}".strip()],
        "code": row.get("code"),
    }
    return Task(asked.id, asked.messages, hidden, metadata=asked.metadata)


HUMANEVAL_PLUS = TaskSource(
    name="humaneval_plus", hub="evalplus/humanevalplus", size=164, row=_code,
    licence="Apache-2.0",
)  # fmt: skip
MBPP_PLUS = TaskSource(
    name="mbpp_plus", hub="evalplus/mbppplus", size=378, row=_mbpp_plus, licence="Apache-2.0",
)  # fmt: skip


_PRO_FOLDER = "livecodebench_pro"
_PRO_PROMPT = (
    "Solve the following contest problem with one C++17 program, within the limits that it states. "
    "Put the whole program into a code block that begins with ```cpp.\n\n{statement}"
)
_WITHOUT_TESTS = frozenset({"2086F", "2101F", "2109B"})
"""Problems for which the hub's repository of tests has no archive (its revision 5257736)."""


def pro_rows(path: Path) -> list[Row]:
    """Read a quarter of LiveCodeBench Pro; tests lie beside it, `testcases/PROBLEM_ID.zip`.

    Problems that nobody has published tests for are left out.

    Raises:
        DataError: a row without a problem's id.
        DataNotFoundError: a problem has no package there.
    """
    rows: list[Row] = []
    place = path.parent / "testcases"
    for row in read_rows(path):
        name = str(first_field(row, ("problem_id",), "problem_id"))
        if name not in _WITHOUT_TESTS:
            package = place / (name if (place / name).is_dir() else f"{name}.zip")
            rows.append({**row, "lightcp_package": Beside(package),
                         "testlib": Beside(place / "testlib.h")})  # fmt: skip
    missing = [row for row in rows if not row["lightcp_package"].path.exists()]
    if missing:
        raise DataNotFoundError(
            f"the tests of {len(missing)} of {len(rows)} problems are not on this machine: put "
            f"{missing[0]['problem_id']}.zip, … of QAQAQAQAQ/LiveCodeBench-Pro-Testcase, and "
            f"testlib.h, into {place}"
        )
    return rows


def _pro(row: Row, index: int) -> Task:
    """A problem with the package of its tests, which is read when an answer is judged."""
    statement = str(first_field(row, ("problem_statement",), "problem_statement"))
    reference = {name: str(row[name].path) for name in ("lightcp_package", "testlib")}
    message: Message = {"role": "user", "content": _PRO_PROMPT.format(statement=statement)}
    metadata = {"problem": statement, "difficulty": str(row.get("difficulty")).lower()}
    for field in ("problem_title", "platform"):
        if row.get(field) is not None:
            metadata[field] = str(row[field])
    return Task(str(row["problem_id"]), (message,), reference, metadata=metadata)


def _quarter(name: str, split: str, size: int) -> TaskSource:
    """The hub's data set is gated and its 15 GB of tests are archives: both are put by hand."""
    return TaskSource(
        name=name, size=size, read=pro_rows, row=_pro,
        files=(f"{_PRO_FOLDER}/{split}-00000-of-00001.parquet",),
        licence="Apache-2.0, as the card of QAQAQAQAQ/LiveCodeBench-Pro says (problems: Codeforces "
        "and others)",
    )  # fmt: skip


LCB_PRO_25Q1 = _quarter("livecodebench_pro_25q1", "quater_2025_1_3", 166)
LCB_PRO_25Q2 = _quarter("livecodebench_pro_25q2", "quater_2025_4_6", 167 - len(_WITHOUT_TESTS))
