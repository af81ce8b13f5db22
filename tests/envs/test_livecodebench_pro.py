"""LiveCodeBench Pro: rows and packages in the published form, written here, judged in a sandbox."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.envs.code.env import CodeEnv
from cascade.envs.code.sources import LCB_PRO_25Q2
from cascade.envs.tasksets import TaskSource
from cascade.errors import DataError, DataNotFoundError
from cascade.evals.rescore import RescoreConfig, rescore
from cascade.sandboxes import Sandbox
from cascade.types import VerdictStatus
from cascade.verifiers.code import CodeVerifier
from cascade.verifiers.code.lightcp import lightcp_problem, read_lightcp
from code_data import opened

TESTLIB = '#include <cstdio>\ninline FILE* file(char* n) { return fopen(n, "r"); }\n'
CHECKER = (  # accepts any divisor above 1, in testlib's order: input, output, answer
    '#include "testlib.h"\nint main(int c, char** v) { int n, d;'
    ' if (fscanf(file(v[1]), "%d", &n) != 1 || fscanf(file(v[2]), "%d", &d) != 1) return 2;'
    " return !(d > 1 && n % d == 0); }"
)
INTERACTOR = (
    '#include "testlib.h"\nint main(int c, char** v) { int n, d;'
    ' if (fscanf(file(v[1]), "%d", &n) != 1) return 3; printf("%d\\n", n); fflush(stdout);'
    ' return !(scanf("%d", &d) == 1 && d == n + 1); }'
)
CONFIG = (
    "type: default\ntime_limit: 500ms\nmemory_limit: 256m\nchecker: checker.cpp\n"
    "input_suffix: .in\noutput_suffix: .ans\nsubtasks:\n- {score: 100, n_cases: 2}\n"
)
FILES = {
    "config.yaml": CONFIG, "checker.cpp": CHECKER, "testlib.h": TESTLIB,
    "testdata/1.in": "6\n", "testdata/1.ans": "2\n",
    "testdata/2.in": "35\n", "testdata/2.ans": "5\n",
}  # fmt: skip
DIVISOR = "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n; }"
TWO = DIVISOR.replace("<< n;", "<< 2;")
NEXT = "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n + 1 << std::endl; }"


def packed(**changes: str | None) -> dict[str, bytes]:
    files = {**FILES, **{k.replace("__", "/"): v for k, v in changes.items()}}
    return {name: body.encode() for name, body in files.items() if body is not None}


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler here")
    with opened("local") as sandbox:
        yield sandbox


@pytest.fixture
def quarter(tmp_path: Path) -> TaskSource:
    """One problem, below `tmp_path` as the data folder; its archive lacks testlib.h."""
    place = tmp_path / "livecodebench_pro" / "testcases"
    place.mkdir(parents=True)
    with zipfile.ZipFile(place / "2101A.zip", "w") as archive:
        for name, body in packed(**{"testlib.h": None}).items():
            archive.writestr(name, body)
    (place / "testlib.h").write_text(TESTLIB)
    rows = [
        {"problem_id": name, "problem_title": "Divisor", "difficulty": "Easy",
         "problem_statement": "Print a divisor.", "platform": "Codeforces"}
        for name in ("2101A", "2109B")
    ]  # fmt: skip
    (tmp_path / "livecodebench_pro" / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return replace(LCB_PRO_25Q2, files=("livecodebench_pro/q.jsonl",), size=1)


def test_a_quarter_is_read_and_judged_by_the_problem_s_checker(
    box: Sandbox, quarter: TaskSource, tmp_path: Path
) -> None:
    """The problem that has no published tests is left out."""
    tasks = quarter.load(tmp_path)
    assert [(t.id, t.metadata["difficulty"]) for t in tasks] == [("2101A", "easy")]
    assert tasks[0].messages[0]["content"].endswith("Print a divisor.")
    env = CodeEnv(tasks, sandbox=box, time_factor=6)
    for program, reward in ((DIVISOR, 1.0), (TWO, 0.0)):
        env.reset(options={"task": "2101A"})
        assert env.step(f"```cpp\n{program}\n```")[1] == reward


def test_missing_tests_are_told_before_a_run(quarter: TaskSource, tmp_path: Path) -> None:
    (tmp_path / "livecodebench_pro" / "testcases" / "2101A.zip").unlink()
    with pytest.raises(DataNotFoundError, match=r"tests of 1 of 1 problems .* 2101A\.zip"):
        quarter.load(tmp_path)


def test_an_interactive_package(box: Sandbox) -> None:
    config = CONFIG.replace("default", "interactive").replace("checker:", "interactor:")
    problem = lightcp_problem(packed(**{"config.yaml": config, "checker.cpp": INTERACTOR}), "x")
    verifier = CodeVerifier(box, time_factor=6)
    assert verifier(f"```cpp\n{NEXT}\n```", problem).reward == 1.0
    assert verifier(f"```cpp\n{DIVISOR}\n```", problem).status is VerdictStatus.WRONG


def test_limits_and_explicit_cases() -> None:
    problem = lightcp_problem(packed(), "x")
    assert (problem.limits.cpu_seconds, problem.limits.memory_bytes) == (0.5, 256 << 20)
    cases = (
        "type: default\ntime: 2s\nmemory: 1g\nsubtasks:\n- cases: [{input: 2.in, output: 2.ans}]\n"
    )
    problem = lightcp_problem(packed(**{"config.yaml": cases}), "x")
    assert [test.input for test in problem.tests] == [b"35\n"]
    assert (problem.limits.cpu_seconds, problem.limits.memory_bytes) == (2.0, 1 << 30)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config.yaml": None}, "no config.yaml"),
        ({"config.yaml": "a: [b"}, "not YAML"),
        ({"config.yaml": "type: default"}, "list 'subtasks'"),
        ({"testdata/2.ans": None}, r"lacks testdata/2\.ans"),
        ({"checker.cpp": None}, r"names checker\.cpp, which is missing"),
        ({"testlib.h": None}, r"needs testlib\.h"),
        ({"config.yaml": CONFIG.replace("500ms", "soon")}, "not a time: 'soon'"),
        ({"config.yaml": CONFIG.replace("default", "leetcode")}, "'leetcode' are not supported"),
    ],
)
def test_a_package_that_cannot_be_judged_is_named(
    changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises((DataError, DataNotFoundError), match=message):
        lightcp_problem(packed(**changes), "x")


def test_a_package_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="no package"):
        read_lightcp(tmp_path / "9999Z.zip")


def test_published_verdicts_of_the_toolkit_are_counted(tmp_path: Path) -> None:
    """Its judge's failures are faults, and an answer without a program is wrong."""
    said: list[tuple[str, str | None]] = [
        ("Accepted", "x"), ("Wrong Answer", "x"), ("Judge Failed", "x"), ("Judge Failed", None),
    ]  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"problem_id": f"{i}A", "difficulty": "easy", "platform": "codeforces", "code": code,
         "text_response": "…", "judge_result": result}
        for i, (result, code) in enumerate(said)
    ]  # fmt: skip
    (tmp_path / "benchmark_result.json").write_text(json.dumps(rows))
    result = rescore(
        RescoreConfig(
            task="counted", format="livecodebench_pro",
            outputs=[tmp_path / "benchmark_result.json"], out=tmp_path / "v.jsonl",
        )
    )  # fmt: skip
    assert result.summary.score == pytest.approx(100 / 3)
    assert result.summary.counts["fault"] == 1
