"""The script for a CUDA machine runs here in its small form, from the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_its_small_form_runs_on_a_cpu() -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--tiny", "--steps", "1"]
    environ = {**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for told in ("sampling:", "update:", "weight sync:", "forward and backward:", "plan says"):
        assert told in done.stdout
