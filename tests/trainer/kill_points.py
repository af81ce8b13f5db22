"""Kills a training process at chosen points and goes on with it; prints what came out as JSON.

Run as a script of its own: it loads everything once and forks a process for each part of a run, so
that a dozen kills cost little. Each child patches one function to kill it, as SIGKILL would.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch

from cascade.envs.trajectories import TrajectoryWriter
from cascade.trainer import checkpoint, cli

RECIPE = Path(__file__).resolve().parent.parent / "small_recipe.py"
UNTIMED = ("seconds", "tokens_per_second")


def kill_at(owner: Any, name: str, call: int, before: Callable[..., None] | None = None) -> None:
    """Kill this process at the `call`-th call of ``owner.name``, after running `before`."""
    real, calls = getattr(owner, name), [0]

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            if before is not None:
                before(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    setattr(owner, name, counted)


def tear(writer: TrajectoryWriter, trajectory: Any) -> None:
    """Write half a line."""
    os.write(writer._descriptor, b'{"format":"cascade.tra')


def write_half(state: Any, file: BinaryIO) -> None:
    """Begin a state file and leave it."""
    file.write(b"PK half")
    file.flush()


POINTS: Mapping[str, Callable[[], None]] = {
    "while sampling the first wave": lambda: kill_at(TrajectoryWriter, "write", 5, tear),
    "before an update": lambda: kill_at(torch.optim.AdamW, "step", 4),
    "while writing a checkpoint's state": lambda: kill_at(torch, "save", 2, write_half),
    "before a checkpoint gets its name": lambda: kill_at(os, "replace", 3),
    "after the last step": lambda: kill_at(checkpoint, "save_model", 1),
}
"""Where a process dies -> how it is told to."""

REPEATED: Sequence[Callable[[], None]] = (
    lambda: kill_at(torch.optim.AdamW, "step", 3),
    lambda: kill_at(TrajectoryWriter, "write", 9, tear),
    lambda: kill_at(TrajectoryWriter, "write", 9, tear),
    lambda: kill_at(checkpoint, "_force_to_disk", 5),
    lambda: kill_at(torch.optim.AdamW, "step", 2),
    lambda: kill_at(checkpoint, "save_model", 1),
)
"""One run that dies again and again."""


def part(folder: Path, arm: Callable[[], None] | None) -> int | None:
    """Run or resume in a child process; return its exit code."""

    def child() -> None:
        sys.stdout = sys.stderr = (folder.parent / "log").open("a")
        if arm is not None:
            arm()
        sys.exit(cli.main([str(RECIPE), "--run-dir", str(folder), "--resume"]))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    return process.exitcode


def outcome(folder: Path) -> dict[str, Any]:
    """Digests of what a run leaves, and its numbers without times."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    episodes = [json.loads(line) for line in (folder / "trajectories.jsonl").open()]
    for episode in episodes:
        del episode["seconds"]
    weights = folder / "final" / "model.safetensors"
    return {
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "metrics": [{k: v for k, v in line.items() if not k.startswith(UNTIMED)} for line in lines],
        "episodes": hashlib.sha256(json.dumps(episodes).encode()).hexdigest(),
    }


def main(base: Path) -> None:
    """Run once without a kill, then with one at each point, then with many in one run."""
    torch.set_num_threads(1)
    whole = base / "whole"
    codes: dict[str, Any] = {"whole": [part(whole, None)]}
    outcomes = {"whole": outcome(whole)}
    for i, (name, arm) in enumerate(POINTS.items()):
        folder = base / str(i)
        codes[name] = [part(folder, arm), part(folder, None)]
        outcomes[name] = outcome(folder)
    codes["often"] = [part(base / "often", arm) for arm in REPEATED] + [part(base / "often", None)]
    outcomes["often"] = outcome(base / "often")
    print(json.dumps({"codes": codes, "outcomes": outcomes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
