"""Runs a program on the tests of a problem, in the way that the problem's judging says."""

from __future__ import annotations

from collections.abc import Callable

from cascade.sandboxes import Call, Case, Checker, Interactor, Manager, Program, Report, Sandbox
from cascade.verifiers.code.problem import (
    Assertions,
    Checked,
    Communication,
    Function,
    Interaction,
    Output,
    Problem,
)

__all__ = ["run_tests"]


def run_tests(
    sandbox: Sandbox, problem: Problem, program: Program, *, stop_early: bool = True
) -> Report:
    """Run `program` on every test, in order.

    Args:
        sandbox: an open sandbox.
        problem: with the limits that are to be kept.
        program: as `program_of` makes it.
        stop_early: skip the tests behind the first failure.

    Raises:
        SandboxError: the sandbox cannot run, or the language is missing in it.
        ConfigError: the limits are more than the sandbox was opened with, or the language does
            not fit the kind of task.
        DataError: the problem's own checker cannot be used.
    """
    run = _RUNNERS[type(problem.judging)]
    return run(sandbox, problem, program, stop_early)


def _cases(problem: Problem) -> list[Case]:
    return [Case(test.input, test.answer, name=test.name) for test in problem.tests]


def _output(sandbox: Sandbox, problem: Problem, program: Program, stop_early: bool) -> Report:
    assert isinstance(problem.judging, Output)
    return sandbox.judge(
        program,
        _cases(problem),
        problem.limits,
        compare=problem.judging.compare,
        stop_early=stop_early,
    )


def _function(sandbox: Sandbox, problem: Problem, program: Program, stop_early: bool) -> Report:
    judging = problem.judging
    assert isinstance(judging, Function)
    calls = [Call(test.input, expected=test.answer, name=test.name) for test in problem.tests]
    return sandbox.call(
        program,
        judging.name,
        calls,
        problem.limits,
        compare=judging.compare,
        stop_early=stop_early,
        module="solution",
    )


def _checked(sandbox: Sandbox, problem: Problem, program: Program, stop_early: bool) -> Report:
    judging = problem.judging
    assert isinstance(judging, Checked)
    checker = Checker(judging.checker, judging.protocol, judging.flags)
    return sandbox.judge(
        program, _cases(problem), problem.limits, checker=checker, stop_early=stop_early
    )


def _interaction(sandbox: Sandbox, problem: Problem, program: Program, stop_early: bool) -> Report:
    judging = problem.judging
    assert isinstance(judging, Interaction)
    interactor = Interactor(judging.interactor, judging.style, judging.flags)
    return sandbox.judge_interactive(
        program, _cases(problem), interactor, problem.limits, stop_early=stop_early
    )


def _communication(
    sandbox: Sandbox, problem: Problem, program: Program, stop_early: bool
) -> Report:
    judging = problem.judging
    assert isinstance(judging, Communication)
    manager = Manager(judging.manager, judging.processes)
    return sandbox.judge_interactive(
        program, _cases(problem), manager, problem.limits, stop_early=stop_early
    )


def _assertions(sandbox: Sandbox, problem: Problem, program: Program, stop_early: bool) -> Report:
    judging = problem.judging
    assert isinstance(judging, Assertions)
    tests = [f"{judging.setup}\n{test.input}\n".lstrip("\n") for test in problem.tests]
    return sandbox.unit_tests(
        program,
        tests,
        problem.limits,
        in_process=judging.in_process,
        stop_early=stop_early,
    )


_RUNNERS: dict[type, Callable[[Sandbox, Problem, Program, bool], Report]] = {
    Assertions: _assertions,
    Checked: _checked,
    Communication: _communication,
    Function: _function,
    Interaction: _interaction,
    Output: _output,
}
