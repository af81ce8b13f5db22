"""Responses that prove a task: one that must be judged CORRECT, one that must be WRONG."""

from __future__ import annotations

from cascade.verifiers.code import Problem
from cascade.verifiers.code.fences import family
from cascade.verifiers.code.problem import Function, Submission

__all__ = ["accepted_response", "rejected_response"]

_ACCEPTED = ("model_solution", "accepted", "correct")
_FAILING = {
    "python": "raise SystemExit('no solution')",
    "cpp": "int main() { return 1; }",
    "c": "int main(void) { return 1; }",
    "java": "public class Main { public static void main(String[] a) { System.exit(1); } }",
}


def accepted_response(problem: Problem) -> str | None:
    """Return an accepted submission of the problem, in its preferred language, as a response."""
    for verdict in _ACCEPTED:
        for language in problem.languages:
            for submission in problem.submissions:
                if (submission.expected, submission.language) == (verdict, language):
                    return None if submission.files else _fenced(submission)
    return None


def rejected_response(problem: Problem) -> str:
    """Return a program in the right form that no test accepts."""
    language = problem.languages[0]
    source = _FAILING[family(language)]
    if problem.scaffold:
        source = "#error no solution\n"
    if isinstance(problem.judging, Function):
        owner, _, name = problem.judging.name.rpartition(".")
        body = f"def {name}(*args, **kwargs):\n    return 'no solution'"
        if owner:
            body = f"class {owner}:\n    " + body.replace("\n", "\n    ")
        source = body
    return _fenced(Submission("rejected", language, source))


def _fenced(submission: Submission) -> str:
    """Put the source into a block with a fence longer than any inside."""
    fence = "```"
    while fence in submission.source:
        fence += "`"
    return f"{fence}{submission.language}\n{submission.source.rstrip()}\n{fence}"
