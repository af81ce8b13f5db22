"""`cascade-env`, and pass rates of task sets that survive being cut off."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cascade.envs import load_tasks
from cascade.envs.cli import main
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.profile import ProfileConfig, pass_rates, profile, read_profile
from cascade.errors import ConfigError, DataError, DataNotFoundError, EngineError
from cascade.types import Prompt, SamplingParams
from mock_server import MockServer

TASKS = load_tasks("mini_arithmetic").take(6)
CONFIG = ProfileConfig(
    env="cascade/Math-v0", env_options={"tasks": TASKS}, samples=4, concurrency=3, retries=0
)


class Student(ScriptedEngine):
    """Knows task 0, guesses task 1 every other time, and fails on task 2."""

    def __init__(self) -> None:
        super().__init__(self._answer)

    def _answer(self, prompt: Prompt, params: SamplingParams) -> str | Exception:
        text = str(prompt[0]["content"])  # type: ignore[index]
        number = next(i for i, t in enumerate(TASKS) if t.metadata["problem"] in text)
        right = f"\\boxed{{{TASKS[number].reference}}}"
        if number == 2:
            return EngineError("out of order")
        if number == 1:
            assert params.seed is not None
            return right if self.num_samples % 2 else "\\boxed{-1}"
        return right if number == 0 else ""


async def test_pass_rates_are_measured_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "p" / "math.jsonl"
    told: list[tuple[str, int, int]] = []
    found = await profile(CONFIG, Student(), out, lambda t, n, of: told.append((t.id, n, of)))
    ids = [task.id for task in TASKS]
    assert list(found) == [ids[0], ids[1], *ids[3:]]
    assert found[ids[0]].pass_rate == 1.0
    assert found[ids[0]].samples == found[ids[0]].passed == 4
    assert found[ids[1]].pass_rate == 0.5
    assert found[ids[3]].pass_rate == 0.0
    assert pass_rates(out) == {task: entry.pass_rate for task, entry in found.items()}
    assert {of for _, _, of in told} == {6}
    header, _ = read_profile(out)
    assert header["env"] == "cascade/Math-v0"
    assert header["model"] == "scripted"


async def test_a_profile_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "math.jsonl"
    config = ProfileConfig(
        env="cascade/Math-v0", env_options={"tasks": TASKS}, samples=4, concurrency=3, limit=2
    )
    await profile(config, Student(), out)
    with out.open("a") as file:
        file.write('{"id": "torn')
    engine = Student()
    found = await profile(CONFIG, engine, out)
    assert engine.num_samples == 4 * 4  # of the four tasks that had no line
    assert len(found) == 5
    assert len(read_profile(out)[1]) == 5
    again = Student()
    await profile(CONFIG, again, out)
    assert again.num_samples == 4  # the one that had only faults


async def test_another_setting_needs_another_file(tmp_path: Path) -> None:
    out = tmp_path / "math.jsonl"
    await profile(CONFIG, Student(), out)
    other = ProfileConfig(env=CONFIG.env, env_options=CONFIG.env_options, samples=5)
    with pytest.raises(ConfigError, match="was made with samples 4, not 5"):
        await profile(other, Student(), out)


def test_what_is_no_profile_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="cascade-env profile"):
        read_profile(tmp_path / "none.jsonl")
    out = tmp_path / "bad.jsonl"
    out.write_text('{"format": "cascade.profile/1"}\n{"id": "a"}\n')
    with pytest.raises(DataError, match="line 2: not a profile"):
        read_profile(out)
    with pytest.raises(ConfigError, match="samples must be 1 or more, got 0"):
        ProfileConfig(env="cascade/Math-v0", samples=0)


def test_the_command_profiles_through_a_server(tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "math.jsonl"
    task = TASKS[0]
    right = ((str(task.metadata["problem"]), f"\\boxed{{{task.reference}}}"),)
    with MockServer(reply="\\boxed{-1}", replies=right) as server:
        arguments = [
            "profile", "cascade/Math-v0", "--tasks", "mini_arithmetic", "--limit", "3",
            "--base-url", server.base_url, "--model", "mock", "--samples", "2", "--out", str(out),
        ]  # fmt: skip
        assert main(arguments) == 0
        assert server.stats()["requests"] == 6
        assert main(arguments) == 0
        assert server.stats()["requests"] == 6
    assert pass_rates(out)[task.id] == 1.0
    assert "never solved 2, sometimes 0, always 1" in capsys.readouterr().out


def test_listing_showing_and_checking(capsys: Any) -> None:
    assert main(["list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert "cascade/Math-v0" in listed["environments"]
    assert "aime25" in listed["task_sets"]
    assert main(["list"]) == 0
    assert main(["show", "cascade/Workplace-v0"]) == 0
    assert "<tool_call>" in capsys.readouterr().out
    assert main(["check", "cascade/Math-v0", "--count", "2"]) == 0
    assert "keeps the contract" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "cascade/Meth-v0"], "did you mean 'cascade/Math-v0'"),
        (["show", "cascade/Math-v0", "--env-option", "timeout=3"], "'timeout_seconds'"),
        (["profile", "cascade/Math-v0", "--out", "x"], "which model?"),
        (
            [
                "profile",
                "cascade/Math-v0",
                "--out",
                "x",
                "--engine",
                "tiny",
                "--base-url",
                "http://x",
            ],
            "belongs to --engine http",
        ),
    ],
)
def test_bad_usage_is_one_line(arguments: list[str], complaint: str, capsys: Any) -> None:
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err


def test_the_command_loads_no_torch() -> None:
    code = "import sys, cascade.envs.cli as c; c.main(['list']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
