"""How a judge is asked for a grade, how its reply is read, and how several grades become one.

The prompts are ours, after published rules; their sources say which. A published prompt can be
given in their place (`GradedEnv(prompt=…)`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from cascade.envs.judges import Parse, last_boxed, last_tagged, whole_number
from cascade.errors import ConfigError, UnknownNameError

__all__ = ["RUBRICS", "Rubric", "filled", "find_rubric", "mean_grade", "strict_mean"]

FIELDS = ("problem", "answer", "reference", "guidelines")
Aggregate = Callable[[Sequence[float]], float]
"""Grades of one answer in [0, 1] -> its reward."""


def mean_grade(grades: Sequence[float]) -> float:
    """Return the mean."""
    return fmean(grades)


def strict_mean(grades: Sequence[float]) -> float:
    """Return 0 if any grade is 0, else the mean.

    The aggregation of Nemotron-Cascade 2 for IMO-ProofBench (arXiv:2603.19220, appendix A): one
    grader that finds a fatal error outweighs those that overlook it.
    """
    return 0.0 if min(grades) == 0.0 else fmean(grades)


@dataclass(frozen=True, slots=True)
class Rubric:
    """One way to grade."""

    name: str
    prompt: str
    """With fields of `FIELDS`; `{problem}` and `{answer}` must be there."""
    parse: Parse[float]
    """Reads a grade in [0, 1] out of a reply."""
    source: str

    def __post_init__(self) -> None:
        """Refuse a prompt that does not show what is graded."""
        check_prompt(self.prompt)


def check_prompt(prompt: str) -> None:
    """Refuse a prompt that does not show what is graded.

    Raises:
        ConfigError: `{problem}` or `{answer}` is missing.
    """
    missing = [name for name in ("problem", "answer") if "{" + name + "}" not in prompt]
    if missing:
        raise ConfigError(f"a grader's prompt needs {{{missing[0]}}}, got {prompt[:60]!r}…")


def filled(prompt: str, texts: Mapping[str, str]) -> str:
    """Put the texts into the prompt's fields as they are; braces elsewhere stay."""
    pieces: list[str] = []
    while prompt:
        found = [(prompt.find("{" + name + "}"), name) for name in FIELDS]
        start, name = min(((at, name) for at, name in found if at >= 0), default=(-1, ""))
        if start < 0:
            break
        pieces += [prompt[:start], texts.get(name, "")]
        prompt = prompt[start + len(name) + 2 :]
    return "".join([*pieces, prompt])


def _scaled(parse: Parse[int], top: int) -> Parse[float]:
    def grade(reply: str) -> float | None:
        points = parse(reply)
        return None if points is None else points / top

    return grade


def _named(values: Mapping[str, float]) -> Parse[float]:
    boxed = last_boxed(tuple(values))

    def grade(reply: str) -> float | None:
        found = boxed(reply)
        return None if found is None else values[found]

    return grade


_ANSWER = """\
Compare the final answer of a solution with the correct answer to a mathematical problem. Judge \
the final answer alone, not the way to it.

The answer is right only if it is the same value, expression or set as the correct one, in \
whatever form: check by algebra or arithmetic before you call two forms different. The order of \
the elements of a set does not matter; that of a tuple does. An answer that is partly right, \
one of several that contradict each other, or none at all is wrong.

Problem:
{problem}

Correct answer:
{reference}

Solution to judge:
{answer}

Explain briefly, then end with exactly one of \\boxed{Correct} and \\boxed{Incorrect}."""

_PROOF = """\
You grade a solution to an olympiad problem, as strictly as at the International Mathematical \
Olympiad: only arguments that are sound, complete and precise earn points.

Points:
7  complete, correct and rigorous. Abandoned attempts before a complete proof cost nothing.
6  the proof is sound at its core, with minor slips or small gaps; a missing proof of a major \
part, an unjustified claim or a sketch is no 6.
1  substantial progress that the guidelines below name.
0  anything less, or a fundamental error.
The guidelines for this problem go before these rules, above all for partial credit. The \
reference solution is correct, and is one way among others.

Problem:
{problem}

Reference solution:
{reference}

Guidelines:
{guidelines}

Solution to grade:
{answer}

Check every step: a solution may only pretend to prove. Then give the grade once, as <points>N \
out of 7</points> with N one of 0, 1, 6, 7."""

_VERIFY = """\
Evaluate a solution to a problem. It must prove what it states; where an answer is asked for, \
it must give the answer and prove that it is right.

Score 1: completely correct, every step carried out and clear.
Score 0.5: correct in general, with details left out or minor errors.
Score 0: it does not solve the problem, has a fatal error, or leaves out what matters.
A result that is only cited counts as unproved, unless the solution proves it too.

Problem:
{problem}

Solution:
{answer}

Go through the steps that matter and say of each whether it is right, and why you doubted it if \
you did. Then end with the score alone: \\boxed{0}, \\boxed{0.5} or \\boxed{1}."""

_EQUAL = """\
Does a response answer a question as the given correct answer does? Do not solve the question \
yourself, and do not argue for another answer; small differences of rounding in numbers are \
allowed.

Question:
{problem}

Response:
{answer}

Correct answer:
{reference}

Say what the response's final answer is and in what it differs, then end with exactly one of \
\\boxed{yes} and \\boxed{no}."""

RUBRICS: Mapping[str, Rubric] = {
    rubric.name: rubric
    for rubric in (
        Rubric(
            "answer", _ANSWER, _named({"Correct": 1.0, "Incorrect": 0.0}),
            "rules of AnswerAutoGrader, Luong et al. 2025 (arXiv:2511.01846), in our words",
        ),
        Rubric(
            "proof", _PROOF, _scaled(whole_number(last_tagged("points"), 0, 7, of=7), 7),
            "rules of ProofAutoGrader, Luong et al. 2025 (arXiv:2511.01846), in our words",
        ),
        Rubric(
            "verify", _VERIFY, _named({"0": 0.0, "0.5": 0.5, "1": 1.0}),
            "rules of DeepSeekMath-V2's verifier (deepseek-ai/DeepSeek-Math-V2 at 665c840), in "
            "our words",
        ),
        Rubric(
            "equal", _EQUAL, _named({"yes": 1.0, "no": 0.0}),
            "rules of the judge of Humanity's Last Exam (centerforaisafety/hle), in our words",
        ),
    )
}  # fmt: skip


def find_rubric(name: str) -> Rubric:
    """Return the rubric called `name`.

    Raises:
        UnknownNameError: there is none; the near names are given.
    """
    if name not in RUBRICS:
        raise UnknownNameError.near("rubric", name, RUBRICS)
    return RUBRICS[name]
