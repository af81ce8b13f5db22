"""The errors of Cascade: one root, few leaves, told apart by what the caller should do.

::

    CascadeError
      x ConfigError (ValueError)      a setting no run can satisfy: change it
        x UnknownNameError            no task, suite, environment or engine of that name
      x DataError (ValueError)        a file or row that cannot be read: mend the data
        x DataNotFoundError           data that is not on this machine: supply it
      x EngineError (RuntimeError)    the model or its server failed: retry, or resume later
      x SandboxError (RuntimeError)   the sandbox failed, not the program in it: retry
      x TrainingError (RuntimeError)  an update or a worker failed: the last checkpoint is whole
      x ContractError (RuntimeError)  an environment or verifier breaks its own rules: mend it
      x ResetNeededError              `step` before `reset`, or after the end of the episode

A model's wrong answer is never an exception: it is a `Verdict`. Every class can be pickled, and
each message names what was given and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CascadeError",
    "ConfigError",
    "ContractError",
    "DataError",
    "DataNotFoundError",
    "EngineError",
    "ResetNeededError",
    "SandboxError",
    "UnknownNameError",
]


class CascadeError(Exception):
    """Every error that Cascade raises on purpose."""


class ConfigError(CascadeError, ValueError):
    """A setting that no run can satisfy; the message names the field and the value."""


class UnknownNameError(ConfigError):
    """A name that nothing is registered under; the message lists the near ones."""

    @classmethod
    def near(cls, kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
        """Build the error for a `kind` ("task", "suite", …) called `name`."""
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        if close:
            hint = f"did you mean {' or '.join(repr(c) for c in close)}?"
        else:
            hint = f"known: {', '.join(names) if names else 'none'}"
        return cls(f"unknown {kind} {name!r}; {hint}")


class DataError(CascadeError, ValueError):
    """A file or row that cannot be used; the message names file, line and field."""


class DataNotFoundError(DataError):
    """Data that is not on this machine; the message says where it was looked for."""


class EngineError(CascadeError, RuntimeError):
    """The engine could not produce a sample: the sample is a FAULT, never a wrong answer."""


class SandboxError(CascadeError, RuntimeError):
    """The sandbox itself failed. Never show its text to a model as a program's output."""


class TrainingError(CascadeError, RuntimeError):
    """Training cannot go on; the message says what failed and what is left as it was."""


class ContractError(CascadeError, RuntimeError):
    """An environment, verifier or engine breaks the contract that its base class states."""


class ResetNeededError(CascadeError, RuntimeError):
    """`step` was called before `reset`, or after the episode had ended."""
