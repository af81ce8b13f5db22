"""Trajectory files: lossless, append-only, and whole after a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cascade.envs.trajectories import TrajectoryWriter, read_trajectories
from cascade.errors import DataError
from cascade.types import Completion, StopReason, Trajectory, Verdict, VerdictStatus

FULL = Trajectory(
    task_id="7",
    env_id="cascade/Math-v0",
    sample=3,
    messages=(
        {"role": "user", "content": "√2 · \udc80"},
        {"role": "assistant", "content": "\\boxed{4}\n\x00"},
    ),
    completions=(
        Completion(
            "\\boxed{4}\n\x00", StopReason.STOP, "because", ({"id": "c"},), (1, 2), (3, 4),
            (-0.125, -1.5e-7), 2, 2, [[[0, 1]]], "v3",
        ),
    ),
    verdict=Verdict(0.5, VerdictStatus.PARTIAL, "4", {"format": 1.0}, "half"),
    stop_reason=StopReason.LENGTH,
    reward=0.5,
    terminated=False,
    truncated=True,
    seed=11,
    seconds=0.25,
    task_metadata={"difficulty": 2},
    metadata={"task": "aime25"},
)  # fmt: skip


def test_a_trajectory_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run" / "t.jsonl"
    bare = Trajectory("1", "e", 0, (), (), Verdict.fault("down"), StopReason.ERROR)
    with TrajectoryWriter(path) as writer:
        writer.write(FULL)
        writer.write(bare)
    assert list(read_trajectories(path)) == [FULL, bare]


def test_a_torn_last_line_is_passed_over_and_cut_off(tmp_path: Path) -> None:
    """What a killed writer leaves costs its last line only, and the next writer mends the file."""
    path = tmp_path / "t.jsonl"
    with TrajectoryWriter(path) as writer:
        for sample in range(3):
            writer.write(replace(FULL, sample=sample))
    whole = path.read_bytes()
    for cut in (1, 10, len(whole.splitlines()[-1])):
        path.write_bytes(whole[:-cut])
        assert [t.sample for t in read_trajectories(path)] == [0, 1]
        with TrajectoryWriter(path) as writer:
            writer.write(replace(FULL, sample=9))
        assert [t.sample for t in read_trajectories(path)] == [0, 1, 9]


def test_a_long_torn_line_is_cut_to_the_line_before(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with TrajectoryWriter(path) as writer:
        writer.write(FULL)
    with path.open("ab") as file:
        file.write(b"x" * 200_000)
    TrajectoryWriter(path).close()
    assert list(read_trajectories(path)) == [FULL]


def test_a_file_of_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"format": "casc')
    TrajectoryWriter(path).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "needs the field 'format'"),
        ('{"format": "other/1"}', "other/1"),
        ('{"format": "cascade.trajectory/1"}', "needs the field 'verdict'"),
        ("nonsense", "line 1"),
    ],
)
def test_a_foreign_line_names_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        list(read_trajectories(path))
    assert "t.jsonl, line 1" in str(caught.value)
