"""The package as installed: links, laziness, and no import of torch where it does not belong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import cascade

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", ["envs", "verifiers", "sandboxes", "trainer", "evals"])
def test_folder_is_the_subpackage(name: str) -> None:
    """`cascade.NAME` is the top-level folder NAME, through the link in src/cascade."""
    assert (Path(cascade.__file__).parent / name).resolve() == ROOT / name


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_cascade_loads_nothing_but_itself() -> None:
    third_party = {"numpy", "gymnasium", "datasets", "torch", "httpx", "sympy", "rich"}
    assert not modules_after("import cascade") & third_party


@pytest.mark.parametrize(
    "statement",
    [
        "import cascade.envs",
        "import cascade.envs.engines.http",
        "from cascade.verifiers import math, choice",
        "import cascade.evals.cli",
        "import cascade.sandboxes",
    ],
)
def test_torch_belongs_to_the_trainer_alone(statement: str) -> None:
    assert not modules_after(statement) & {"torch", "transformers", "vllm", "datasets"}


def test_a_verifier_imports_without_environments() -> None:
    loaded = modules_after("from cascade.verifiers import math")
    assert not loaded & {"gymnasium", "cascade.envs", "sympy", "math_verify"}
