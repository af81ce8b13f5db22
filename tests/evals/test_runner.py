"""The scheduler: nothing lost, nothing twice, the engine full, the judge's failures apart."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.trajectories import TrajectoryWriter, read_trajectories
from cascade.errors import ConfigError, EngineError
from cascade.evals.folder import read_records
from cascade.evals.plan import PlannedTask
from cascade.evals.runner import Runner, RunnerConfig, schedule
from cascade.types import Completion, Prompt, SamplingParams, StopReason, VerdictStatus
from small_runs import planned


def _answer(prompt: Prompt, params: SamplingParams) -> str:
    """Solve `What is i + 0?`."""
    text = prompt[-1]["content"]  # type: ignore[index]
    found = re.search(r"What is (\d+)", str(text))
    assert found
    return f"\\boxed{{{found[1]}}}"


async def _run(
    tasks: Sequence[PlannedTask], engine: Any, folder: Path, resume: bool = False, **config: Any
) -> Runner:
    path = folder / "trajectories.jsonl"
    with TrajectoryWriter(path) as writer:
        done = read_records(path) if resume else {}
        runner = Runner(tasks, engine, writer, RunnerConfig(**config), done)
        await runner.run()
    return runner


async def test_every_sample_is_drawn_once_and_is_on_disk(tmp_path: Path) -> None:
    tasks = [planned("a", 4, 3), planned("b", 2, 5)]
    engine = ScriptedEngine(_answer)
    runner = await _run(tasks, engine, tmp_path, concurrency=7)
    assert engine.num_samples == 22
    assert set(read_records(tmp_path / "trajectories.jsonl")) == set(runner.records)
    assert Counter(key[0] for key in runner.records) == {"a": 12, "b": 10}
    assert all(r.status is VerdictStatus.CORRECT for r in runner.records.values())


def test_tasks_advance_at_the_same_share() -> None:
    """A run that is cut short holds balanced samples: no task is ahead by more than one round."""
    tasks = [planned("big", 10, 20), planned("small", 5, 4)]
    seen: Counter[str] = Counter()
    for job in schedule(tasks, {}):
        seen[tasks[job.task].name] += 1
        assert abs(seen["big"] / 200 - seen["small"] / 20) <= 1 / 20
    assert seen == {"big": 200, "small": 20}


def test_a_problem_is_not_sampled_twice_before_all_were_sampled_once() -> None:
    jobs = [job.task_id for job in schedule([planned("a", 6, 2)], {})]
    assert len(set(jobs[:6])) == 6


async def test_a_resumed_run_draws_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    tasks = [planned("a", 5, 4)]

    class Dying(ScriptedEngine):
        async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> Any:
            if self.num_samples >= 7:
                raise ConfigError("gone")
            return await super().sample(prompts, params)

    with pytest.raises(ConfigError, match="gone"):
        await _run(tasks, Dying(_answer), tmp_path, concurrency=1)
    engine = ScriptedEngine(_answer)
    runner = await _run(tasks, engine, tmp_path, resume=True)
    assert engine.num_samples == 13
    assert len(runner.records) == 20
    assert len(list(read_trajectories(tmp_path / "trajectories.jsonl"))) == 20


async def test_a_torn_last_line_is_drawn_again(tmp_path: Path) -> None:
    """Kill -9 in the middle of a write loses that sample only."""
    tasks = [planned("a", 3, 2)]
    await _run(tasks, ScriptedEngine(_answer), tmp_path, concurrency=1)
    path = tmp_path / "trajectories.jsonl"
    path.write_bytes(path.read_bytes()[:-25])
    engine = ScriptedEngine(_answer)
    runner = await _run(tasks, engine, tmp_path, resume=True)
    assert engine.num_samples == 1
    assert len(runner.records) == 6


async def test_an_engine_failure_is_retried_and_then_a_fault(tmp_path: Path) -> None:
    tasks = [planned("a", 2, 1)]
    twice: list[Any] = [EngineError("429"), "\\boxed{0}"]
    thrice = [EngineError("500")] * 3
    runner = await _run(tasks, ScriptedEngine(twice + thrice), tmp_path, concurrency=1)
    first, second = runner.records.values()
    assert first.status is VerdictStatus.CORRECT
    assert second.status is VerdictStatus.FAULT
    assert runner.stopped is None


async def test_a_fault_on_record_is_tried_again_by_a_resumed_run(tmp_path: Path) -> None:
    tasks = [planned("a", 2, 1)]
    broken = ScriptedEngine(["\\boxed{0}", EngineError("500")])
    await _run(tasks, broken, tmp_path, concurrency=1, retries=0)
    engine = ScriptedEngine(_answer)
    runner = await _run(tasks, engine, tmp_path, resume=True)
    assert engine.num_samples == 1
    assert [r.status for r in runner.records.values()] == [VerdictStatus.CORRECT] * 2


async def test_an_engine_that_is_gone_ends_the_run_and_leaves_the_rest(tmp_path: Path) -> None:
    """Failures in a row end the run; what was not drawn is not recorded as anything."""
    tasks = [planned("a", 50, 4)]
    replies: list[Any] = ["\\boxed{0}"] * 20 + [EngineError("connection refused")] * 1000
    engine = ScriptedEngine(replies)
    runner = await _run(tasks, engine, tmp_path, concurrency=4, patience=10)
    assert runner.stopped is not None
    assert "connection refused" in runner.stopped
    good = [r for r in runner.records.values() if not r.is_fault]
    assert len(good) == 20
    assert engine.num_samples < 60
    again = await _run(tasks, ScriptedEngine(_answer), tmp_path, resume=True)
    assert len(again.records) == 200
    assert not any(r.is_fault for r in again.records.values())


class _Judge:
    """Fails the first times it is asked."""

    def __init__(self, failures: int) -> None:
        self.left = failures
        self.asked: list[str] = []

    def __call__(self, response: str, reference: Any, /) -> Any:
        self.asked.append(response)
        if self.left:
            self.left -= 1
            raise RuntimeError("judge down")
        from cascade.verifiers import math

        return math.verify(response, reference)


@pytest.mark.parametrize(("failures", "status"), [(2, "correct"), (3, "fault")])
async def test_a_broken_judge_judges_the_same_text_again(
    tmp_path: Path, failures: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new response would let those that are hard to judge drop out of the sample."""
    from cascade.envs.multiple_choice import MultipleChoiceEnv

    judge = _Judge(failures)

    class Broken(MultipleChoiceEnv):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.verifier = judge

        def reference(self, task: Any) -> Any:
            return task.reference

    task = planned("a", 1, 1)
    monkeypatch.setattr(PlannedTask, "make_env", lambda self: Broken(tasks=self.tasks))
    engine = ScriptedEngine(["\\boxed{0}"])
    runner = await _run([task], engine, tmp_path)
    (record,) = runner.records.values()
    assert record.status.value == status
    assert engine.num_samples == 1
    assert judge.asked == ["\\boxed{0}"] * 3


async def test_never_more_episodes_in_flight_than_allowed(tmp_path: Path) -> None:
    most = 0

    class Watched(ScriptedEngine):
        async def sample(self, prompts: Sequence[Prompt], params: SamplingParams) -> Any:
            nonlocal most
            most = max(most, self.num_in_flight + 1)
            return await super().sample(prompts, params)

    engine = Watched(_answer, latency_seconds=0.002)
    await _run([planned("a", 30, 2)], engine, tmp_path, concurrency=6)
    assert most == 6


async def test_a_fast_engine_does_not_starve_the_event_loop(tmp_path: Path) -> None:
    """Signals and progress get their turn although no call ever waits."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticker = asyncio.create_task(tick())
    await _run([planned("a", 20, 10)], ScriptedEngine(_answer), tmp_path, concurrency=2)
    ticker.cancel()
    assert ticks > 50


async def test_seeds_depend_on_run_task_problem_and_sample_alone(tmp_path: Path) -> None:
    """Another order or concurrency draws the same samples; another run seed draws others."""
    tasks = [planned("a", 3, 2)]

    async def seeds(name: str, **config: Any) -> dict[Any, Any]:
        folder = tmp_path / name
        await _run(tasks, ScriptedEngine(_answer), folder, **config)
        rows = read_trajectories(folder / "trajectories.jsonl")
        return {(t.task_id, t.sample): t.seed for t in rows}

    first = await seeds("x", concurrency=1)
    assert first == await seeds("y", concurrency=5)
    other = await seeds("z", seed=1)
    assert len(set(first.values()) | set(other.values())) == 12


async def test_token_ids_are_left_out_of_the_file_and_still_counted(tmp_path: Path) -> None:
    completion = Completion(
        "\\boxed{0}", StopReason.STOP, token_ids=(1, 2, 3), logprobs=(0.0, 0.0, 0.0)
    )
    await _run([planned("a", 1, 1)], ScriptedEngine([completion]), tmp_path)
    (stored,) = read_trajectories(tmp_path / "trajectories.jsonl")
    assert stored.completions[0].token_ids is None
    assert stored.completions[0].num_tokens == 3
    (record,) = read_records(tmp_path / "trajectories.jsonl").values()
    assert record.num_tokens == 3


async def test_truncated_responses_are_known_as_such(tmp_path: Path) -> None:
    cut = Completion("<think>\nand so on", StopReason.LENGTH, num_tokens=64)
    runner = await _run([planned("a", 1, 1)], ScriptedEngine([cut]), tmp_path)
    (record,) = runner.records.values()
    assert record.truncated
    assert record.status is VerdictStatus.NO_ANSWER
