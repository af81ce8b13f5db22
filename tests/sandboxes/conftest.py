"""One open sandbox for each back end, shared by all tests of the folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from cascade.errors import SandboxError
from cascade.sandboxes import Sandbox, open_sandbox
from conftest import unavailable


def open_or_skip(kind: str, **settings: Any) -> Sandbox:
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


@pytest.fixture(scope="module")
def polyglot(kind: str) -> Iterator[Sandbox]:
    """One worker, of the image with as many languages as there are."""
    image = os.environ.get("CASCADE_SANDBOX_IMAGE") if kind == "docker" else None
    with open_or_skip(kind, workers=1, image=image) as opened:
        yield opened
