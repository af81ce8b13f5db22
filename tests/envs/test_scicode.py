"""SciCode: rows in the published form, written here; steps judged in the sandbox with targets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.envs.check import check_tasks
from cascade.envs.scicode import SciCodeEnv
from cascade.envs.scicode.sources import SCICODE
from cascade.envs.scicode.targets import Sparse, expression, read_targets
from cascade.envs.tasksets import TaskSet
from cascade.errors import DataError, DataNotFoundError
from cascade.evals.task import find_task
from cascade.sandboxes import Sandbox
from cascade.types import VerdictStatus
from code_data import opened

AREA = "def area(r):\n    '''Area of a disc.'''"
STEPS: list[dict[str, Any]] = [
    {
        "step_number": "7.1", "step_description_prompt": "The area of a disc.",
        "function_header": AREA, "return_line": "    return a",
        # as in the published rows, a later test uses a name of an earlier one
        "test_cases": ["r = 2.0\nassert np.allclose(area(r), target)",
                       "assert np.allclose(area(r / 2), target)"],
        "targets": [12.566370614, 3.141592654],
        "ground_truth_code": "def area(r):\n    return np.pi * r**2",
    },
    {
        "step_number": "7.2", "step_description_prompt": "Areas and their sum.",
        "function_header": "def areas(rs):", "return_line": "    return each, total",
        "test_cases": ["from scicode.compare.cmp import cmp_tuple_or_list\n"
                       "assert cmp_tuple_or_list(areas(np.array([1.0, 2.0])), target)"],
        "targets": [[[3.141592654, 12.566370614], 15.707963268]],
        "ground_truth_code": "def areas(rs):\n    e = area(rs)\n    return e, e.sum()",
    },
]  # fmt: skip
ROW: dict[str, Any] = {
    "problem_name": "discs", "problem_id": "7", "problem_description_main": "Areas of discs.",
    "problem_io": "", "required_dependencies": "import numpy as np", "sub_steps": STEPS,
}  # fmt: skip
SOURCE = replace(SCICODE, size=1, files=("scicode/problems.jsonl",))


def fenced(code: str) -> str:
    return f"<think>\nhm\n</think>\n```python\n{code}\n```"


def loaded(folder: Path, row: dict[str, Any]) -> TaskSet:
    (folder / "scicode").mkdir(exist_ok=True)
    (folder / "scicode" / "problems.jsonl").write_text(json.dumps(row))
    return SOURCE.load(folder)


def played(env: SciCodeEnv, *codes: str) -> Any:
    env.reset(options={"task": "7"})
    for code in codes:
        *_, info = env.step(code)
    return info["verdict"]


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    with opened("local") as sandbox:
        yield sandbox


def test_a_problem_proves_itself_step_by_step(box: Sandbox, tmp_path: Path) -> None:
    env = SciCodeEnv(loaded(tmp_path, ROW), sandbox=box)
    assert check_tasks(env) == 1
    conversation, _ = env.reset(options={"task": "7"})
    assert "import numpy as np" in str(conversation[0]["content"])
    assert "area of a disc" in str(conversation[0]["content"])
    conversation, *_ = env.step(fenced(STEPS[0]["ground_truth_code"]))
    assert str(conversation[-1]["content"]).startswith("Step 7.2: Areas and their sum.")
    verdict = env.step(fenced(STEPS[1]["ground_truth_code"]))[-1]["verdict"]
    assert (verdict.status, verdict.parts) == (VerdictStatus.CORRECT, {"passed": 2, "asked": 2})


def test_the_digest_of_the_rows_does_not_tell_where_they_lie(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    one, other = (loaded(tmp_path / name, ROW).provenance.sha256 for name in "ab")
    assert one == other


def test_steps_count_alone_and_the_problem_only_whole(box: Sandbox, tmp_path: Path) -> None:
    env = SciCodeEnv(loaded(tmp_path, ROW), sandbox=box)
    right, both = (fenced(step["ground_truth_code"]) for step in STEPS)
    wrong = fenced("def area(r):\n    return 3 * r**2")
    whole = fenced("def areas(rs):\n    e = np.pi * rs**2\n    return e, e.sum()")
    for codes, passed, status in (
        ((right, "no code"), 1, VerdictStatus.WRONG),
        ((wrong, both), 0, VerdictStatus.WRONG),  # the second calls the wrong first
        ((wrong, whole), 1, VerdictStatus.WRONG),
        (("no code", "none"), 0, VerdictStatus.NO_ANSWER),
    ):
        verdict = played(env, *codes)
        assert (verdict.reward, verdict.status) == (0.0, status)
        assert verdict.parts == {"passed": passed, "asked": 2}


def test_given_steps_are_shown_and_not_asked(box: Sandbox, tmp_path: Path) -> None:
    given = {**STEPS[0], "given_code": STEPS[0]["ground_truth_code"]}
    env = SciCodeEnv(loaded(tmp_path, {**ROW, "sub_steps": [given, STEPS[1]]}), sandbox=box)
    conversation, _ = env.reset(options={"task": "7"})
    assert "return np.pi * r**2" in str(conversation[0]["content"])
    assert played(env, fenced(STEPS[1]["ground_truth_code"])).parts == {"passed": 1, "asked": 1}


def test_a_sandbox_without_the_imports_is_a_fault(box: Sandbox, tmp_path: Path) -> None:
    row = {**ROW, "required_dependencies": "import numpy as np\nimport no_such_module"}
    verdict = played(SciCodeEnv(loaded(tmp_path, row), sandbox=box), fenced("pass"))
    assert verdict.is_fault
    assert "no_such_module" in verdict.reason
    assert "needs NumPy, SciPy" in verdict.reason


def test_missing_files_and_fields_are_told(tmp_path: Path) -> None:
    bare = {key: value for key, value in STEPS[0].items() if key != "targets"}
    with pytest.raises(DataNotFoundError, match=r"put test_data\.h5"):
        loaded(tmp_path, {**ROW, "sub_steps": [bare]})
    with pytest.raises(DataNotFoundError, match=r"eval/data/62\.1\.txt"):
        loaded(tmp_path, {**ROW, "sub_steps": [{**STEPS[0], "step_number": "62.1"}]})
    with pytest.raises(DataError, match="2 tests and 1 targets"):
        loaded(tmp_path, {**ROW, "sub_steps": [{**STEPS[0], "targets": [1]}]})
    with pytest.raises(DataError, match="needs the list 'test_cases'"):
        loaded(tmp_path, {**ROW, "sub_steps": [{**STEPS[0], "test_cases": []}]})


@pytest.mark.parametrize(
    "value",
    [
        1, 2.5, float("nan"), 1 + 2j, True, None, "text", np.arange(6.0).reshape(2, 3), [1.0, "x"],
        np.array([[1 + 1j]]), (np.float64(0.1), [np.int64(3)]), {"a": 1.5, 2.0: np.zeros(2)},
        np.zeros((0, 3)),
    ],
    ids=repr,
)  # fmt: skip
def test_expected_values_arrive_exactly(value: Any) -> None:
    np.testing.assert_equal(eval(expression(value)), value)


def test_sparse_matrices_arrive_whole() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.csr_matrix(np.diag([1.0, 2.0, 3.0]))
    parts = Sparse(shape=np.array(matrix.shape), data=matrix.data, indices=matrix.indices,
                   indptr=matrix.indptr)  # fmt: skip
    made = eval(expression(parts))
    assert (made != matrix).nnz == 0
    coo = matrix.tocoo()
    parts = Sparse(shape=np.array(coo.shape), data=coo.data, row=coo.row, col=coo.col)
    assert (eval(expression(parts)).tocsr() != matrix).nnz == 0


def test_the_published_file_of_targets_is_read(tmp_path: Path) -> None:
    """Written here in its layout: one value, several, a text, a list, a dictionary, a matrix."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "test_data.h5"
    with h5py.File(path, "w") as file:
        file["7.1/test1/var1"] = np.arange(3.0)
        file["7.1/test2/var1"], file["7.1/test2/var2"] = 1.5, "text"
        file["7.1/test3/var1/list/var1"], file["7.1/test3/var1/list/var2"] = 1, np.zeros(2)
        file["7.1/test4/var1/0.5"], file["7.1/test4/var1/name"] = 2.0, "b"
        for name, part in (("data", [5.0]), ("shape", [1, 1]), ("row", [0]), ("col", [0])):
            file[f"7.1/test5/var1/sparse_matrix/{name}"] = part
    one, two, three, four, five = read_targets(path, "7.1", 5)
    np.testing.assert_equal((one, two), (np.arange(3.0), (1.5, "text")))
    np.testing.assert_equal((three, four), ([1, np.zeros(2)], {0.5: 2.0, "name": "b"}))
    assert isinstance(five, Sparse)
    with pytest.raises(DataError, match=r"lacks a test of step 7\.1"):
        read_targets(path, "7.1", 6)


def test_the_rate_of_sub_problems_is_over_all_steps() -> None:
    metric = find_task("scicode").protocol.set_metric("sub-problems")
    assert metric is not None

    class Fake:
        def __init__(self, passed: float, asked: float) -> None:
            self.parts = {"passed": passed, "asked": asked}

    assert metric.compute([[Fake(1, 2)], [Fake(5, 6)]]) == 75.0  # type: ignore[list-item]
