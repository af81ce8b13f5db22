"""Programs: found in an answer, run on a problem's tests in a sandbox, judged outside of it.

    from cascade.sandboxes import open_sandbox
    from cascade.verifiers import code

    with open_sandbox() as box:
        verdict = code.verify(response, reference, sandbox=box)

A verifier is handed an open sandbox; it never opens one. The reference is a `Problem`, the path of
a package, or a row of a data set as it was published (`problem_of`). See docs/code.md.
"""

from cascade.verifiers.code.fences import Found, extract_program, find_program
from cascade.verifiers.code.problem import Problem, Submission
from cascade.verifiers.code.reference import problem_of
from cascade.verifiers.code.scoring import AllTests, Fraction, Score, Scoring, WeightedGroups
from cascade.verifiers.code.timing import calibrated
from cascade.verifiers.code.verifier import (
    NO_PROGRAM,
    CodeVerifier,
    verdict_of,
    verify,
    verify_many,
)

__all__ = [
    "NO_PROGRAM",
    "AllTests",
    "CodeVerifier",
    "Found",
    "Fraction",
    "Problem",
    "Score",
    "Scoring",
    "Submission",
    "WeightedGroups",
    "calibrated",
    "extract_program",
    "find_program",
    "problem_of",
    "verdict_of",
    "verify",
    "verify_many",
]
