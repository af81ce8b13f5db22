"""The published prompts that code problems are put into, each with its source."""

from __future__ import annotations

from cascade.types import Message
from cascade.verifiers.code import Problem
from cascade.verifiers.code.problem import Assertions, Communication, Function, Interaction

__all__ = ["messages_of"]

_LIVECODEBENCH = (
    "You will be given a question (problem specification) and will generate a correct Python "
    "program that matches the specification and passes all tests.\n\nQuestion: {statement}\n\n"
)
"""The prompt of the QwQ-32B evaluation of LiveCodeBench (QwenLM/QwQ at 620a5ea, eval/data)."""

_STDIN = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly "
    "test on the sample inputs). Enclose your code within delimiters as follows. Ensure that when "
    "the python program runs, it reads the inputs, runs the algorithm and writes output to STDOUT."
    "\n```python\n# YOUR CODE HERE\n```\n\n"
)
_STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your "
    "code within delimiters.\n```python\n{starter}\n```\n\n"
)
_HUMANEVAL = (
    "Please provide a self-contained Python script that solves the following problem in a markdown "
    "code block:\n```\n{statement}\n```\n"
)
"""The instruction of EvalPlus for chat models (evalplus/codegen.py at 26d6d00)."""

_MBPP = (
    "You are an expert Python programmer, and here is your task: {statement} Your code should pass "
    "these tests:\n\n{tests}\n"
)
"""The prompt of the MBPP paper (Austin et al. 2021, section 4.1)."""

_CONTEST = (
    "Solve the following problem with one program in one of these languages: {languages}. {io} "
    "Put the whole program into a code block that names its language.\n\n{statement}\n"
)
_NAMES = {
    "python": "Python (```python)", "cpp17": "C++17 (```cpp)", "cpp20": "C++20 (```cpp)",
    "c": "C (```c)", "java": "Java (```java)", "rust": "Rust (```rust)", "go": "Go (```go)",
    "javascript": "JavaScript (```javascript)",
}  # fmt: skip


def messages_of(problem: Problem) -> tuple[Message, ...]:
    """Return the conversation that asks for a program, in the form of the problem's benchmark."""
    return ({"role": "user", "content": _text(problem)},)


def _text(problem: Problem) -> str:
    judging = problem.judging
    if isinstance(judging, Assertions):
        if judging.prompt:
            return _HUMANEVAL.format(statement=problem.statement.strip())
        tests = "\n".join(str(test.input) for test in problem.public_tests)
        return _MBPP.format(statement=problem.statement, tests=tests)
    if problem.languages == ("python",):
        head = _LIVECODEBENCH.format(statement=problem.statement)
        if problem.starter:
            return head + _STARTER.format(starter=problem.starter)
        if isinstance(judging, Function):
            return head + _STARTER.format(starter=f"def {judging.name}(...):\n    ")
        return head + _STDIN
    return _CONTEST.format(
        languages=", ".join(_NAMES.get(name, name) for name in problem.languages),
        io=_io_of(problem),
        statement=problem.statement,
    )


def _io_of(problem: Problem) -> str:
    if isinstance(problem.judging, Communication) or problem.scaffold:
        headers = sorted({name for files in problem.scaffold.values() for name in files})
        return (
            f"It is compiled with the grader ({', '.join(headers)}) and implements its functions."
        )
    if isinstance(problem.judging, Interaction):
        return "It talks with the judge over standard input and output; flush after every line."
    return "It reads standard input and writes standard output."
