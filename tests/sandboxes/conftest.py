"""One open sandbox for each back end, shared by all tests of the folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import unavailable

from cascade.errors import SandboxError
from cascade.sandboxes import Case, Program, Report, Sandbox, open_sandbox

sys.path.insert(0, str(Path(__file__).parent))

GOOD = Program("python", "a, b = map(int, input().split())\nprint(a + b)\n")


def open_or_skip(kind: str, **settings: object) -> Sandbox:
    try:
        return open_sandbox(kind, **settings)
    except SandboxError as error:
        unavailable(f"no {kind} sandbox: {error}")
        raise


@pytest.fixture(scope="session", params=["docker", "local"])
def kind(request: pytest.FixtureRequest) -> str:
    """The back end under test."""
    return str(request.param)


@pytest.fixture(scope="session")
def box(kind: str) -> Iterator[Sandbox]:
    """Two workers and a spare."""
    with open_or_skip(kind, workers=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def cell(kind: str) -> Iterator[Sandbox]:
    """One worker, so that one run follows the other in the same slot."""
    with open_or_skip(kind, workers=1, disk_bytes=96 << 20) as opened:
        yield opened


def judge_good(box: Sandbox) -> Report:
    """Judge a program that is right."""
    return box.judge(GOOD, [Case("1 2", "3"), Case("20 22", "42")])
