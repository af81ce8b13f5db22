"""One programming problem, whatever format it came in: tests, how an output is judged, limits.

Readers of formats build a `Problem`; the judge runs it; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cascade.errors import DataError
from cascade.sandboxes.compare import Same, TextCompare, Tokens
from cascade.sandboxes.programs import Limits, Program
from cascade.verifiers.code.groups import Group

__all__ = [
    "Assertions",
    "Checked",
    "Communication",
    "Function",
    "Interaction",
    "Judging",
    "Output",
    "Problem",
    "ProblemTest",
    "Protocol",
    "Submission",
]

_LIKE_JSON = Same(tuples_are_lists=True)

Protocol = Literal["icpc", "testlib", "cms"]
"""How a checker is called and answers; see `cascade.sandboxes.Checker`."""


@dataclass(frozen=True, slots=True)
class ProblemTest:
    """One test. What `input` and `answer` are, depends on the problem's judging."""

    input: Any
    """Standard input (str or bytes); arguments (`Function`, a tuple); code (`Assertions`)."""
    answer: Any = None
    """The expected output (str or bytes) or value; None where a checker or the code decides."""
    name: str = ""
    public: bool = False
    """Whether the model may see it: a sample."""


@dataclass(frozen=True, slots=True)
class Output:
    """The program reads standard input; its output is compared with the answer."""

    compare: TextCompare = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class Function:
    """A function is called with plain data; what it returns is compared outside the sandbox."""

    name: str
    """`f`, or `C.f` for a method of a new `C()`."""
    compare: Callable[[Any, Any], bool] = _LIKE_JSON
    """Takes the expected and the returned value, both of exact builtin types."""


@dataclass(frozen=True, slots=True)
class Assertions:
    """Test code runs after the program in its namespace and raises if something is wrong."""

    entry: str = ""
    """The function under test, where the data set names it."""
    prompt: str = ""
    """Source that the program continues, unless it defines `entry` itself (HumanEval)."""
    setup: str = ""
    """Test code that runs before every test."""
    in_process: bool = False
    """The tests need objects of the program, so they run in its process, guarded by controls.

    Otherwise they run in another sandbox, and only plain data passes between the two.
    """


@dataclass(frozen=True, slots=True)
class Checked:
    """The output is judged by a program of the problem's author, in a sandbox of its own."""

    checker: Program
    protocol: Protocol = "icpc"
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interaction:
    """The program talks with an interactor of the problem's author over pipes."""

    interactor: Program
    flags: tuple[str, ...] = ()
    style: Protocol = "icpc"


@dataclass(frozen=True, slots=True)
class Communication:
    """A manager talks with one or more processes of the program, each linked with a stub."""

    manager: Program
    processes: int = 1


Judging = Output | Function | Assertions | Checked | Interaction | Communication


@dataclass(frozen=True, slots=True)
class Submission:
    """A program that came with the problem, and what it must be judged."""

    name: str
    language: str
    """A language of the sandboxes, or the file's extension where there is none for it."""
    source: str
    expected: str = "accepted"
    """"accepted", "wrong_answer", "time_limit_exceeded", … as the format names it."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Further files of a program in several files."""


@dataclass(frozen=True)
class Problem:
    """What a program must do, and how that is judged.

    Raises:
        DataError: no tests (an empty list of tests proves nothing), tests of the same name, or a
            group of tests that are not there.
    """

    id: str
    tests: tuple[ProblemTest, ...]
    judging: Judging = field(default_factory=Output)
    statement: str = ""
    limits: Limits = field(default_factory=Limits)
    """Limits of one test, as the problem states them."""
    languages: tuple[str, ...] = ("python",)
    """Languages that an answer may be in, the preferred one first."""
    scoring: Group | None = None
    """Points of subtasks; None: every test counts the same."""
    scaffold: Mapping[str, Mapping[str, bytes]] = field(default_factory=dict)
    """Language -> files that are compiled together with the program (grader or stub, headers)."""
    prelude: str = ""
    """One line that stands before a Python program: imports that the data set promises."""
    starter: str = ""
    """Code that the statement gives to begin with."""
    submissions: tuple[Submission, ...] = ()
    time_multiplier: float | None = None
    """Where the time limit is this many times the slowest accepted submission (Kattis); None: the
    limit is stated."""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse problems that prove nothing."""
        if not self.tests:
            raise DataError(f"problem {self.id!r} has no tests: it would accept any program")
        names = [test.name for test in self.tests]
        if len(set(names)) != len(names):
            double = next(name for name in names if names.count(name) > 1)
            raise DataError(f"problem {self.id!r} has two tests named {double!r}")
        if self.scoring is not None:
            missing = sorted(set(self.scoring.all_tests()) - set(names))
            if missing:
                raise DataError(
                    f"problem {self.id!r}: a group names the missing test {missing[0]!r}"
                )

    @property
    def public_tests(self) -> tuple[ProblemTest, ...]:
        """The tests that a model may see."""
        return tuple(test for test in self.tests if test.public)

    def only(self, tests: Sequence[ProblemTest]) -> Problem:
        """Return the problem with these tests alone, each counting the same."""
        return replace(self, tests=tuple(tests), scoring=None)

    def scaled(self, time: float) -> Problem:
        """Return the problem with `time` times its time limits."""
        limits = self.limits
        wall = None if limits.wall_seconds is None else limits.wall_seconds * time
        scaled = replace(limits, cpu_seconds=limits.cpu_seconds * time, wall_seconds=wall)
        return replace(self, limits=scaled)


def numbered(tests: Sequence[ProblemTest]) -> tuple[ProblemTest, ...]:
    """Name tests without a name by their position, from 1."""
    return tuple(
        test if test.name else replace(test, name=str(number))
        for number, test in enumerate(tests, start=1)
    )
