"""Fixtures that several parts share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def unavailable(reason: str) -> None:
    """Skip with `reason`; fail where CASCADE_REQUIRE_ALL=1 says that nothing may be missing."""
    if os.environ.get("CASCADE_REQUIRE_ALL") == "1":
        pytest.fail(f"CASCADE_REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real problems and published outputs; the test skips where it is missing."""
    path = Path(os.environ.get("CASCADE_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data at {path}: set CASCADE_DATA to the folder that holds it")
    return path
