"""Verdicts on programs: what earns a reward, what does not, and what says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cascade.errors import ConfigError, DataError, SandboxError
from cascade.sandboxes import Limits, Sandbox
from cascade.sandboxes.verdicts import Outcome, Report, Status
from cascade.types import VerdictStatus
from cascade.verifiers import code
from cascade.verifiers.code.groups import Group
from cascade.verifiers.code.problem import ProblemTest
from cascade.verifiers.code.programs import program_of
from code_data import KINDS, opened

ADD = {
    "input_output": {
        "inputs": ["1 2\n", "10 20\n", "-1 1\n", "0 0\n"],
        "outputs": ["3", "30", "0", "0"],
        "num_public": 1,
    }
}
CALL = {"input_output": {"fn_name": "double", "inputs": [[1], [2], [-3]], "outputs": [2, 4, -6]}}
FRAME_WALK = """
import sys
def double(x):
    frame = sys._getframe()
    while frame:
        if "expected" in frame.f_locals:
            return frame.f_locals["expected"]
        frame = frame.f_back
"""
RIGHT = "print(sum(map(int, input().split())))"


@pytest.fixture(scope="module", params=KINDS)
def box(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with opened(request.param) as sandbox:
        yield sandbox


def answer(source: str, tag: str = "python") -> str:
    return f"<think>\nhm\n</think>\nSo:\n```{tag}\n{source}\n```"


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        (RIGHT, VerdictStatus.CORRECT, "4 tests passed"),
        ("print(3)", VerdictStatus.WRONG, "wrong answer: test 2"),
        (
            "print(sum(map(int, input().split()))) or 1/0",
            VerdictStatus.WRONG,
            "runtime error: test 1",
        ),
        ("while True: pass", VerdictStatus.WRONG, "time limit: test 1"),
        ("x = bytearray(400 << 20)", VerdictStatus.WRONG, "memory limit: test 1"),
        ("def f(:", VerdictStatus.WRONG, "test 1"),
        ("import os; os._exit(0)", VerdictStatus.WRONG, "wrong answer: test 1"),
        ("print('3' * 10)", VerdictStatus.WRONG, "wrong answer"),
    ],
)
def test_a_program_earns_its_reward_by_passing_every_test(
    box: Sandbox, source: str, status: VerdictStatus, reason: str
) -> None:
    row = {**ADD, "time_limit": "0.5 seconds", "memory_limit": "256 megabytes"}
    verdict = code.verify(answer(source), row, sandbox=box)
    assert verdict.status is status, verdict.reason
    assert reason in verdict.reason
    assert verdict.extracted == source + "\n"


def test_an_answer_without_a_program_is_no_answer(box: Sandbox) -> None:
    for text in ("", "I cannot.", "<think>\n```python\nprint(3)\n```", "```python\nprint("):
        assert code.verify(text, ADD, sandbox=box).status is VerdictStatus.NO_ANSWER


@pytest.mark.parametrize(
    ("source", "reward"),
    [
        ("def double(x): return 2 * x", 1.0),
        ("double = lambda x: x + x", 1.0),
        ("def double(x): return 2", 0.0),
        ("def other(x): return 2 * x", 0.0),
        ("class Yes:\n    def __eq__(self, other): return True\ndef double(x): return Yes()", 0.0),
        ("class Int(int):\n    def __eq__(self, o): return 1\ndef double(x): return Int(7)", 0.0),
        ("import os\ndef double(x): os._exit(0)", 0.0),
        ("import sys\ndef double(x): sys.exit(0)", 0.0),
        ("def double(x): print(2 * x)", 0.0),
        (FRAME_WALK, 0.0),
        ("if __name__ == '__main__':\n    raise SystemExit(3)\ndef double(x): return 2 * x", 1.0),
    ],
)  # fmt: skip
def test_a_function_is_judged_by_what_it_returns(box: Sandbox, source: str, reward: float) -> None:
    """The expected value is not in the sandbox, and what returns has lost its class."""
    assert code.verify(answer(source), CALL, sandbox=box).reward == reward


def test_the_three_rewards_of_one_program(box: Sandbox) -> None:
    half = "a, b = map(int, input().split())\nprint(a + b if a > 0 else 7)"
    problem = code.problem_of(ADD)
    groups = Group(
        "all",
        groups=(
            Group("positive", ("1", "2"), combine="min", accept=30),
            Group("rest", ("3", "4"), combine="min", accept=70),
        ),
    )
    weighted = code.Problem("add", problem.tests, problem.judging, scoring=groups)
    rewards = {}
    for scoring in (code.AllTests(), code.Fraction(), code.WeightedGroups()):
        verdict = code.verify(answer(half), weighted, sandbox=box, scoring=scoring)
        rewards[type(scoring).__name__] = verdict.reward
    assert rewards == {"AllTests": 0.0, "Fraction": 0.5, "WeightedGroups": 0.3}
    assert verdict.status is VerdictStatus.PARTIAL
    assert verdict.parts == {"positive": 30, "rest": 0, "points": 30}
    full = code.verify(answer(RIGHT), weighted, sandbox=box, scoring=code.WeightedGroups())
    assert full.status is VerdictStatus.CORRECT


def test_other_languages_are_compiled(box: Sandbox) -> None:
    problem = code.problem_of(ADD)
    both = code.Problem("add", problem.tests, problem.judging, languages=("cpp17", "python"))
    source = (
        "#include <iostream>\nint main() { long a, b; std::cin >> a >> b; std::cout << a + b; }"
    )
    assert code.verify(answer(source, "cpp"), both, sandbox=box).reward == 1.0
    broken = code.verify(answer("int main() { return x; }", "c++"), both, sandbox=box)
    assert broken.status is VerdictStatus.WRONG
    assert "compile error" in broken.reason
    assert code.verify(answer(RIGHT), both, sandbox=box).reward == 1.0
    assert code.verify(answer(source, "cpp"), ADD, sandbox=box).status is VerdictStatus.NO_ANSWER


def test_many_answers_are_judged_in_order_without_losing_any(box: Sandbox) -> None:
    pairs = [(answer(RIGHT if i % 3 else "print(1)"), ADD) for i in range(30)]
    verifier = code.CodeVerifier(box)
    rewards = [verdict.reward for verdict in code.verify_many(iter(pairs), verifier=verifier)]
    assert rewards == [float(i % 3 != 0) for i in range(30)]


def test_any_thread_may_verify(box: Sandbox) -> None:
    def judge(i: int) -> float:
        return code.verify(answer(RIGHT if i % 2 else "print(1)"), ADD, sandbox=box).reward

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(judge, range(24))) == [float(i % 2) for i in range(24)]


def test_limits_are_scaled_and_never_above_the_sandbox(box: Sandbox) -> None:
    problem = code.Problem(
        "p", (ProblemTest("", ""),), limits=Limits(cpu_seconds=2, memory_bytes=1 << 40)
    )
    limits = code.CodeVerifier(box, time_factor=1.5).fitted(problem).limits
    assert limits.cpu_seconds == 3.0
    assert limits.memory_bytes == box.config.memory_bytes
    with pytest.raises(ConfigError, match="time_factor"):
        code.CodeVerifier(box, time_factor=0)


def test_a_reference_that_cannot_be_judged_is_an_error_and_no_verdict(box: Sandbox) -> None:
    with pytest.raises(DataError, match="no tests"):
        code.verify(answer(RIGHT), {"input_output": {"inputs": [], "outputs": []}}, sandbox=box)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.FAULT, VerdictStatus.FAULT),
        (Status.BAD_TASK, VerdictStatus.FAULT),
        (Status.TAMPERED, VerdictStatus.WRONG),
        (Status.COMPILE_ERROR, VerdictStatus.WRONG),
    ],
)
def test_what_says_nothing_about_a_program_is_a_fault(
    status: Status, expected: VerdictStatus
) -> None:
    problem = code.problem_of(ADD)
    report = Report(status, (Outcome(Status.ACCEPTED, score=1.0),) * 4, reason="why")
    verdict = code.verdict_of(problem, report, code.Fraction())
    assert verdict.status is expected
    assert verdict.reward == 0.0
    assert status.value.replace("_", " ") in verdict.reason


def test_a_closed_sandbox_gives_faults() -> None:
    with opened("local") as sandbox:
        pass
    verdict = code.verify(answer(RIGHT), ADD, sandbox=sandbox)
    assert verdict.status is VerdictStatus.FAULT
    with pytest.raises(SandboxError):
        sandbox.languages()


def test_the_prelude_stands_behind_future_imports() -> None:
    problem = code.Problem("p", (ProblemTest("", ""),), prelude="import math")
    source = "from __future__ import annotations\nprint(1)\n"
    built = program_of(problem, source, "python").source
    assert built == "from __future__ import annotations\nimport math\nprint(1)\n"
    assert program_of(problem, "print(1)", "python").source == "import math\nprint(1)"


def test_hostile_answers_neither_crash_nor_earn(box: Sandbox) -> None:
    hostile: list[Any] = [
        "\x00", "\udc80", "```python\n\x00\n```", "```python\n\udc80\n```", "```" * 10_000,
        "```python\n" + "(" * 50_000 + "\n```", "```python\n" + "9" * 100_000 + "\n```",
        "```python\nimport os; os.kill(os.getppid(), 9)\n```",
        "```python\nprint('3\\n' * 10**8)\n```",
    ]  # fmt: skip
    for text in hostile:
        assert code.verify(text, ADD, sandbox=box).reward == 0.0
    assert code.verify(answer(RIGHT), ADD, sandbox=box).reward == 1.0
