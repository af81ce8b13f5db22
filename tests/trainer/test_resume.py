"""A process killed at any point, and the same command: the same weights to the bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_a_killed_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Weights, metrics and sampled episodes equal those of a run that nobody killed."""
    script = Path(__file__).with_name("kill_points.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path], capture_output=True, text=True, timeout=580
    )
    log = (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
    assert done.returncode == 0, done.stderr + log[-3000:]
    told = json.loads(done.stdout)
    whole = told["outcomes"].pop("whole")
    assert told["codes"].pop("whole") == [0]
    assert [line["step"] for line in whole["metrics"]] == [1, 2, 3, 4, 5, 6]
    for name, codes in told["codes"].items():
        assert codes == [-9] * (len(codes) - 1) + [0], name
        assert told["outcomes"][name] == whole, name
