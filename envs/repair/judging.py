"""How repaired files are judged: the one interface between answers and whatever runs the tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cascade.errors import DataError
from cascade.types import Verdict
from cascade.verifiers.code import CodeVerifier, problem_of
from cascade.verifiers.code.problem import Submission

__all__ = ["PatchJudge", "ProgramTests"]


class PatchJudge(Protocol):
    """Judges files to which an answer's edits have been applied.

    Environments of whole repositories implement it with a container of the task's image, or with a
    model that compares with the gold patch; edits that do not apply never get here.
    """

    def __call__(self, reference: Mapping[str, Any], files: Mapping[str, str], /) -> Verdict:
        """Return the verdict; a judge or sandbox that fails is a FAULT.

        Args:
            reference: the task's.
            files: all of the task's files by path, repaired.

        Raises:
            DataError: the reference cannot be judged, whatever the files.
        """
        ...


@dataclass(frozen=True)
class ProgramTests:
    """Runs ``reference["problem"]``'s tests on the file ``reference["entry"]``, in a sandbox.

    The other files stand beside it, so that it can import them. The problem has any form that
    `cascade.verifiers.code.problem_of` reads.
    """

    verifier: Callable[[], CodeVerifier]
    """Opens the sandbox at first use."""

    def __call__(self, reference: Mapping[str, Any], files: Mapping[str, str]) -> Verdict:
        """Return the verdict of the tests."""
        entry = str(reference.get("entry"))
        if entry not in files or "problem" not in reference:
            raise DataError(
                "a repair task needs reference['entry'], one of its files, and "
                f"reference['problem'], its tests; got the entry {entry!r} and the files "
                f"{', '.join(files)}"
            )
        others = {path: text for path, text in files.items() if path != entry}
        submission = Submission(entry, "python", files[entry], files=others)
        return self.verifier().judge(problem_of(reference["problem"]), submission)
