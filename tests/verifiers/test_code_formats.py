"""Formats of code problems: what is read, and what is refused with words."""

from __future__ import annotations

import base64
import json
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import DataError, DataNotFoundError
from cascade.sandboxes.compare import Tokens
from cascade.sandboxes.verdicts import Status
from cascade.verifiers.code.asserts import (
    complete,
    humaneval_problem,
    mbpp_problem,
    truncate_completion,
)
from cascade.verifiers.code.cms import read_cms
from cascade.verifiers.code.compare import DecimalLines, KattisTokens, OneWrapped, kattis_tokens
from cascade.verifiers.code.groups import Group
from cascade.verifiers.code.kattis import kattis_problem, read_kattis
from cascade.verifiers.code.livecodebench import livecodebench_problem, samples
from cascade.verifiers.code.packed import unpack_tests
from cascade.verifiers.code.problem import (
    Assertions,
    Checked,
    Communication,
    Function,
    Interaction,
    Output,
    Problem,
    ProblemTest,
)
from cascade.verifiers.code.reference import problem_of
from cascade.verifiers.code.rows import apps_problem, code_contests_problem
from code_data import kattis_files, read_gz


def packed(value: object) -> str:
    """The form of LiveCodeBench's private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


STDIN = [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]
CALL = [{"input": "[1, 2]\n3", "output": "[4]", "testtype": "functional"}]


# --- LiveCodeBench


@pytest.mark.parametrize("private", [json.dumps(STDIN), packed(json.dumps(STDIN)), STDIN])
def test_private_tests_are_read_in_every_published_form(private: Any) -> None:
    row = {
        "question_id": "q",
        "public_test_cases": json.dumps(STDIN),
        "private_test_cases": private,
    }
    problem = livecodebench_problem(row)
    assert [(t.input, t.answer, t.public) for t in problem.tests] == [
        ("1 2\n", "3\n", True),
        ("1 2\n", "3\n", False),
    ]
    assert problem.judging == Output(DecimalLines())


def test_functional_rows_call_a_method_of_solution() -> None:
    row = {
        "question_id": "q",
        "public_test_cases": CALL,
        "metadata": json.dumps({"func_name": "addTo"}),
        "starter_code": "class Solution:\n    def addTo(self, a: List[int], b: int):\n        ",
    }
    problem = livecodebench_problem(row)
    assert isinstance(problem.judging, Function)
    assert problem.judging.name == "Solution.addTo"
    assert problem.tests[0].input == ([1, 2], 3)
    assert problem.tests[0].answer == [4]
    assert livecodebench_problem({**row, "metadata": "{}"}).judging == problem.judging


class Evil:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (self.path, "w"))


def test_a_pickle_that_would_run_code_is_refused_unexecuted(tmp_path: Path) -> None:
    """Private tests come from the internet; unpickling them would run whatever they say."""
    target = tmp_path / "owned"
    with pytest.raises(DataError, match="pickle opcode"):
        unpack_tests(packed(Evil(str(target))))
    assert not target.exists()
    pickle.loads(pickle.dumps(Evil(str(target)))).close()
    assert target.exists(), "the control: the same pickle does run code where it is loaded"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no base64!", "base64"),
        (base64.b64encode(b"not zlib").decode(), "zlib"),
        (base64.b64encode(zlib.compress(b"\x80\x04 torn")).decode(), "pickle"),
        (base64.b64encode(zlib.compress(pickle.dumps("x" * 5000))[:-10]).decode(), "cut off"),
        (packed(["a", "b"]), "opcode"),
        (packed(17), "opcode"),
    ],
)
def test_other_packed_texts_are_errors(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        unpack_tests(text)


def test_every_pickle_protocol_of_a_string_is_read() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        raw = pickle.dumps("täxt" * 100, protocol=protocol)
        assert unpack_tests(base64.b64encode(zlib.compress(raw)).decode()) == "täxt" * 100


def test_samples_are_read_out_of_question_texts() -> None:
    atcoder = (
        "Sample Input 1\n\n2 1\r\n3\n\nSample Output 1\n\n4\r\n\nBecause 4.\n\n"
        "Sample Input 2\n\n5\n\nSample Output 2\n\n6"
    )
    assert [(t.input, t.answer) for t in samples(atcoder, functional=False)] == [
        ("2 1\n3\n", "4\n"),
        ("5\n", "6\n"),
    ]
    leetcode = 'Example 1:\n\nInput: nums = [1,2], s = "a, b"\nOutput: true\nExplanation: x.\n'
    (test,) = samples(leetcode, functional=True)
    assert (test.input, test.answer) == (([1, 2], "a, b"), True)


def test_numbers_compare_as_exact_decimals_in_livecodebench() -> None:
    compare = DecimalLines()
    assert compare(b"1.0 2\n", b" 1 2.00 \n\n") is Status.ACCEPTED
    assert compare(b"1.0\n", b"1.0000001\n") is Status.WRONG_ANSWER
    assert compare(b"1\n2\n", b"1 2\n") is Status.WRONG_ANSWER
    assert compare(b"yes\n", b"Yes\n") is Status.WRONG_ANSWER
    assert compare(b"nan", b"NaN") is Status.WRONG_ANSWER


# --- APPS, TACO, CodeContests, NeMo-Gym


def test_apps_rows_of_both_kinds_are_read() -> None:
    pairs = {"inputs": ["1\n", ["a", "b"]], "outputs": ["2", "c"]}
    row = {"input_output": json.dumps(pairs), "solutions": json.dumps(["print(2)"])}
    stdin = apps_problem(row)
    assert [t.input for t in stdin.tests] == ["1\n", "a\nb\n"]
    assert stdin.judging == Output(Tokens())
    assert stdin.submissions[0].source == "print(2)"
    calls = apps_problem({"input_output": {"fn_name": "f", "inputs": [[1, [2]]], "outputs": [[3]]}})
    assert calls.judging == Function("f", OneWrapped())
    assert calls.tests[0].input == (1, [2])
    assert OneWrapped()([3], 3)
    assert OneWrapped()([3], [3])
    assert not OneWrapped()([3], True)


def test_taco_limits_are_read_from_words() -> None:
    row = {"input_output": {"inputs": ["1"], "outputs": ["1"]},
           "time_limit": "2.5 seconds", "memory_limit": "256.0 megabytes"}  # fmt: skip
    limits = apps_problem(row).limits
    assert (limits.cpu_seconds, limits.memory_bytes) == (2.5, 256 << 20)
    with pytest.raises(DataError, match="time_limit"):
        apps_problem({**row, "time_limit": "soon"})


def test_code_contests_rows_are_read() -> None:
    part = {"input": ["1\n"], "output": ["2\n"]}
    row = {
        "name": "1_A", "description": "?", "public_tests": part, "private_tests": part,
        "generated_tests": {"input": [], "output": []},
        "time_limit": {"seconds": 1, "nanos": 500_000_000}, "memory_limit_bytes": 64_000_000,
        "solutions": {"language": [3, 2], "solution": ["print(2)", "int main(){}"]},
        "incorrect_solutions": {"language": [3], "solution": ["print(1)"]},
    }  # fmt: skip
    problem = code_contests_problem(row)
    assert [t.public for t in problem.tests] == [True, False]
    assert (problem.limits.cpu_seconds, problem.limits.memory_bytes) == (1.5, 64_000_000)
    assert [(s.language, s.expected) for s in problem.submissions] == [
        ("python", "accepted"),
        ("cpp17", "accepted"),
        ("python", "rejected"),
    ]
    with pytest.raises(DataError, match="named file"):
        code_contests_problem({**row, "input_file": "input.txt"})


def test_nemo_gym_rows_are_read_old_and_new() -> None:
    tests = {"inputs": ["[1]\n2"], "outputs": ["3"], "fn_name": "f"}
    for row in ({"unit_tests": tests}, {"verifier_metadata": {"unit_tests": json.dumps(tests)}}):
        problem = problem_of(row)
        assert problem.tests[0].input == ([1], 2)
        assert isinstance(problem.judging, Function)
        assert problem.judging.name == "Solution.f"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"input_output": {"inputs": [], "outputs": []}}, "no tests"),
        ({"input_output": {"inputs": ["1"], "outputs": []}}, "1 inputs and 0 outputs"),
        ({"input_output": "{"}, "not JSON"),
        ({"public_test_cases": [], "private_test_cases": "[]"}, "no tests"),
        ({"public_test_cases": [{"input": 1}]}, "input"),
        ({"public_test_cases": STDIN + CALL}, "mixes"),
        ({"test_list": "assert f() == 1"}, "MBPP"),
        ({"kattis_package": "/nowhere"}, "/nowhere"),
        ({"answer": "42"}, "told by"),
        ("print(1)", "str"),
    ],
)
def test_references_that_cannot_be_judged_are_named(row: Any, message: str) -> None:
    """An empty list of tests would accept any program: it is an error of the data."""
    with pytest.raises(DataError, match=message):
        problem_of(row)


# --- asserts


def test_a_completion_continues_the_prompt_and_a_program_replaces_it() -> None:
    judging = Assertions(
        "f", "import math\n\ndef helper():\n    return 1\n\ndef f(x):\n    '''doc'''\n"
    )
    assert complete(judging, "    return x\n").endswith("'''doc'''\n    return x\n")
    whole = complete(judging, "def f(x):\n    return helper()\n")
    assert "import math" in whole
    assert whole.count("def f(") == 1
    assert complete(Assertions(), "x = 1") == "x = 1"


def test_a_completion_ends_where_the_function_does() -> None:
    assert truncate_completion("    return 1\n\n\ndef other():\n    pass") == "    return 1\n\n"
    assert truncate_completion("    return 1\n") == "    return 1\n"


def test_humaneval_and_mbpp_rows_are_read(data_dir: Path) -> None:
    human = [humaneval_problem(row) for row in read_gz(data_dir / "humaneval/HumanEval.jsonl.gz")]
    assert len(human) == 164
    assert all(problem.submissions for problem in human)
    rows = read_gz(data_dir / "mbpp/mbpp.jsonl.gz")
    basic = [mbpp_problem(row) for row in rows]
    assert len(basic) == 974
    assert {len(problem.tests) for problem in basic} == {3}
    named = [problem.judging.entry for problem in basic if isinstance(problem.judging, Assertions)]
    known = sum(f"def {name}" in row["code"] for name, row in zip(named, rows, strict=True) if name)
    assert known >= 970


# --- Kattis


def test_a_legacy_package_is_read(data_dir: Path) -> None:
    folder = data_dir / "icpc_kattis_packages/basicbrewing"
    problem = kattis_problem(kattis_files(folder), "basicbrewing")
    assert problem.limits.cpu_seconds == 1
    assert problem.time_multiplier is None
    assert problem.judging == Output(KattisTokens(absolute=1e-4, relative=1e-4))
    assert [t.name for t in problem.public_tests] == ["sample/1", "sample/2"]
    assert len(problem.tests) == 16
    assert {s.expected for s in problem.submissions} == {
        "accepted",
        "wrong_answer",
        "time_limit_exceeded",
    }


def test_validators_interactors_and_subtasks_are_read(data_dir: Path) -> None:
    folder = data_dir / "icpc_kattis_packages"
    different = kattis_problem(kattis_files(folder / "kattis_different"), "different")
    assert isinstance(different.judging, Checked)
    assert set(different.judging.checker.files) == {"validate.h"}
    languages = {s.name: s.language for s in different.submissions}
    assert languages["different_py2.py"] == "python2"
    assert languages["Different.scala"] == "scala"
    assert languages["prolog"] == "pl"
    guess = kattis_problem(kattis_files(folder / "kattis_guess"), "guess")
    assert isinstance(guess.judging, Interaction)
    assert guess.time_multiplier == 2.0
    echo = kattis_problem(kattis_files(folder / "kattis_oddecho"), "oddecho")
    assert echo.scoring is not None
    assert echo.scoring.full() == 100
    first = {t.name: float("subtask1" in t.name) for t in echo.tests}
    assert echo.scoring.points(first) == 50
    hello = kattis_problem(kattis_files(folder / "kattis_hello"), "hello")
    assert hello.limits.memory_bytes == 512 << 20
    assert hello.time_multiplier == 5.0


def test_kattis_tolerances_and_case() -> None:
    assert KattisTokens()(b"Yes 1.0", b"yes  1.0\n") is Status.ACCEPTED
    assert KattisTokens()(b"1.0", b"1") is Status.WRONG_ANSWER
    close = kattis_tokens("float_tolerance 1e-4")
    assert close(b"100000", b"100009.9") is Status.ACCEPTED
    assert close(b"0", b"0.001") is Status.WRONG_ANSWER
    assert close(b"0", b"nan") is Status.WRONG_ANSWER
    assert kattis_tokens("float_relative_tolerance 1e-4")(b"0", b"1e-9") is Status.WRONG_ANSWER
    strict = kattis_tokens("case_sensitive space_change_sensitive")
    assert strict(b"a b\n", b"a b\n") is Status.ACCEPTED
    assert strict(b"a b\n", b"a  b\n") is Status.WRONG_ANSWER
    assert strict(b"a b\n", b"A b\n") is Status.WRONG_ANSWER
    assert strict(b" a", b"a ") is Status.WRONG_ANSWER
    for flags in ("float_tolerance", "float_tolerance -1", "colour_blind"):
        with pytest.raises(DataError):
            kattis_tokens(flags)


def package(**files: str) -> dict[str, bytes]:
    base = {"problem.yaml": "name: x\n", "data/secret/1.in": "1\n", "data/secret/1.ans": "2\n"}
    return {name: text.encode() for name, text in (base | files).items()}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"problem.yaml": "a: [1"}, "not YAML"),
        ({"problem.yaml": "- 1"}, "mapping"),
        ({"problem.yaml": "type: multi-pass"}, "multi-pass"),
        ({"problem.yaml": "validation: custom"}, "no output validator"),
        ({"problem.yaml": "type: interactive"}, "output validator"),
        ({"problem.yaml": "validator_flags: float"}, "flag"),
        ({".timelimit": "soon"}, "time limit"),
        ({"data/secret/2.in": ""}, "no .ans"),
        ({"data/testdata.yaml": "grading: custom"}, "custom graders"),
    ],
)
def test_a_package_that_cannot_be_judged_is_named(files: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        kattis_problem(package(**files), "x")


def test_a_package_is_read_from_a_folder_or_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / "two"
    for name, body in package().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    archive = tmp_path / "two.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name, body in package().items():
            file.writestr(f"two/{name}", body)
    assert read_kattis(folder) == read_kattis(archive)
    assert problem_of({"kattis_package": str(archive)}).id == "two"
    (tmp_path / "bad.zip").write_bytes(b"no")
    with pytest.raises(DataError, match="zip"):
        read_kattis(tmp_path / "bad.zip")
    with pytest.raises(DataNotFoundError):
        read_kattis(tmp_path / "missing")


# --- IOI


def test_the_ioi_packages_are_read(data_dir: Path) -> None:
    message = read_cms(data_dir / "ioi2024_packages/message-CMS.zip")
    assert isinstance(message.judging, Communication)
    assert message.judging.processes == 2
    assert message.limits.cpu_seconds == 3.0
    assert set(message.scaffold["cpp20"]) == {"stub.cpp", "message.h"}
    assert message.scoring is not None
    assert message.scoring.full() == 100
    aplusb = read_cms(data_dir / "ioi2024_packages/aplusb-CMS.zip")
    assert isinstance(aplusb.judging, Checked)
    assert aplusb.judging.protocol == "cms"
    assert set(aplusb.scaffold["cpp20"]) == {"grader.cpp", "aplusb.h"}
    assert aplusb.scoring is not None
    assert aplusb.scoring.full() == 100
    assert [group.accept for group in aplusb.scoring.groups] == [0, 20, 30, 50]


def test_points_are_combined_by_the_rule_of_each_group() -> None:
    scores = {"a": 1.0, "b": 0.5, "c": 0.0}
    subtask = Group("s", ("a", "b"), combine="min", accept=40)
    assert subtask.points(scores) == 20
    assert Group("s", ("a", "b", "c"), combine="min", accept=40).points(scores) == 0
    assert Group("s", ("a", "b", "c")).points(scores) == 1.5
    assert Group("s", ("a", "c"), combine="avg", accept=10, reject=2).points(scores) == 6
    assert Group("s", ("c", "a"), combine="max", accept=10).points(scores) == 10
    whole = Group("all", groups=(subtask, Group("t", ("a",), accept=90)), ceiling=100)
    assert whole.points(scores) == 100
    assert Group("empty").points(scores) == 0


def test_a_problem_without_tests_or_with_twins_is_refused() -> None:
    with pytest.raises(DataError, match="no tests"):
        Problem("p", ())
    with pytest.raises(DataError, match="two tests named 'a'"):
        Problem("p", (ProblemTest("", "", "a"), ProblemTest("", "", "a")))
    with pytest.raises(DataError, match="missing test 'b'"):
        Problem("p", (ProblemTest("", "", "a"),), scoring=Group("g", ("b",)))
