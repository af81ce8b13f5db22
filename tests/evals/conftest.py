"""What the tests of the evaluation share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cascade.evals.cli import main
from mock_server import MockServer


@pytest.fixture
def eval_main(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run `cascade-eval` in this process; returns (exit code, stdout, stderr)."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def server() -> Iterator[MockServer]:
    """A server that answers 12 to everything, 20 ms late."""
    with MockServer(latency_seconds=0.02, reply="<think>\nhm\n</think>\n\\boxed{12}") as running:
        yield running
