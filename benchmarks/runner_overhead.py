"""What the evaluation runner itself costs: time an episode, memory, and throughput over HTTP.

    python benchmarks/runner_overhead.py [--episodes 20000] [--rounds 5]

1. An in-process engine that answers at once, single-turn Math episodes: all that is left is ours
   (reset, verdict, seeds, scheduling, one line on disk). Wall and CPU time an episode; resident
   memory after a quarter of the episodes and at the end.
2. tests/mock_server.py in a process of its own, each answer after `--latency` seconds, and
   `--in-flight` samples at once. "ideal" is in-flight / latency. "process" is the most that this
   one Python process can do with the same work an episode: 1 / (CPU seconds an episode), the event
   loop never idle. "client" is the same engine asked in a bare loop: no episodes, no verdicts, no
   files.

Rounds take turns; medians are printed, and the least CPU time, which other work on the machine
disturbs less.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cascade.envs.engines import Engine, open_engine
from cascade.envs.engines.scripted import ScriptedEngine
from cascade.envs.trajectories import TrajectoryWriter
from cascade.evals.plan import Overrides, PlannedTask, plan_tasks
from cascade.evals.records import Record
from cascade.evals.runner import Runner, RunnerConfig
from cascade.types import Completion, StopReason
from mock_server import MockServer

REPLY = "<think>\n7 + 5 = 12\n</think>\nThe answer is \\boxed{12}."
TARGET_MICROSECONDS = 150.0
TARGET_SHARE = 0.95


def episodes(count: int) -> tuple[PlannedTask, ...]:
    """Plan `count` single-turn Math episodes on 50 generated problems."""
    planned = plan_tasks(["mini_arithmetic"], Overrides(samples=-(-count // 50)), None)
    metrics = replace(planned[0].protocol, metrics=("avg@k",))
    return (replace(planned[0], protocol=metrics),)


def resident_bytes() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Notes the memory after a quarter of the episodes."""

    def __init__(self, count: int) -> None:
        self.mark = count // 4
        self.seen = 0
        self.quarter_bytes = 0

    def __call__(self, record: Record) -> None:
        """Count a sample."""
        self.seen += 1
        if self.seen == self.mark:
            self.quarter_bytes = resident_bytes()


async def run(
    engine: Engine, planned: tuple[PlannedTask, ...], in_flight: int
) -> tuple[float, float, Watch]:
    """Run every episode; return wall seconds, CPU seconds and the memory notes."""
    watch = Watch(planned[0].num_samples)
    with (
        tempfile.TemporaryDirectory() as folder,
        TrajectoryWriter(Path(folder) / "trajectories.jsonl") as writer,
    ):
        runner = Runner(planned, engine, writer, RunnerConfig(concurrency=in_flight))
        wall, cpu = time.perf_counter(), time.process_time()
        await runner.run(watch)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    await engine.aclose()
    if any(record.is_fault for record in runner.records.values()):
        raise SystemExit("faulty samples: the numbers mean nothing")
    return wall, cpu, watch


async def ask(engine: Engine, planned: tuple[PlannedTask, ...], in_flight: int) -> float:
    """Ask the engine alone for the same samples; return wall seconds."""
    left = planned[0].num_samples
    prompts = [task.messages for task in planned[0].tasks]

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await engine.sample([prompts[left % len(prompts)]], planned[0].protocol.sampling)

    wall = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(in_flight)))
    wall = time.perf_counter() - wall
    await engine.aclose()
    return wall


def in_process(count: int, rounds: int) -> None:
    """Print the cost of an episode and the growth of memory."""
    planned = episodes(count)
    count = planned[0].num_samples
    completion = Completion(REPLY, StopReason.STOP, num_tokens=12)
    walls, cpus, watch = [], [], Watch(count)
    for _ in range(rounds):
        engine = ScriptedEngine(completion, max_concurrency=64)
        wall, cpu, watch = asyncio.run(run(engine, planned, 64))
        walls.append(wall / count * 1e6)
        cpus.append(cpu / count * 1e6)
    growth = resident_bytes() - watch.quarter_bytes
    print(f"in process, {count:,} episodes, {rounds} rounds")
    print(f"  wall {statistics.median(walls):6.1f} µs an episode (median)")
    met = "met" if min(cpus) < TARGET_MICROSECONDS else "MISSED"
    print(
        f"  CPU  {statistics.median(cpus):6.1f} µs an episode (median), least {min(cpus):.1f}; "
        f"target {TARGET_MICROSECONDS:.0f}: {met}"
    )
    print(
        f"  memory {watch.quarter_bytes / 2**20:.1f} MiB after a quarter of the last round, "
        f"{growth / 2**20:+.1f} MiB by its end "
        f"({growth / max(1, count - count // 4):.0f} bytes an episode)"
    )


def over_http(count: int, rounds: int, in_flight: int, latency: float) -> None:
    """Print the throughput against a server that takes `latency` seconds an answer."""
    planned = episodes(count)
    count = planned[0].num_samples
    ideal = in_flight / latency
    rates, utilisations, clients = [], [], []
    with MockServer(latency_seconds=latency, reply=REPLY) as server:
        for _ in range(rounds):
            options = {"base_url": server.base_url, "concurrency": in_flight}
            wall, cpu, _ = asyncio.run(
                run(open_engine("http", "mock", **options), planned, in_flight)
            )
            rates.append(count / wall)
            utilisations.append(cpu / wall)
            alone = asyncio.run(ask(open_engine("http", "mock", **options), planned, in_flight))
            clients.append(count / alone)
    rate, busy = statistics.median(rates), statistics.median(utilisations)
    process = rate / busy
    best, name = (ideal, "ideal") if ideal < process else (process, "process")
    share, client = rate / best, statistics.median(clients)
    print(f"over HTTP, {in_flight} in flight, {latency * 1000:g} ms, {count:,} episodes")
    print(f"  ideal {ideal:,.0f}/s, process {process:,.0f}/s, client {client:,.0f}/s")
    print(
        f"  runner {rate:,.0f}/s: {share:.1%} of {name} "
        f"({'met' if share >= TARGET_SHARE else 'MISSED'} {TARGET_SHARE:.0%}), "
        f"{rate / ideal:.1%} of ideal, {rate / client:.1%} of client"
    )


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[512, 128])
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    args = parser.parse_args()
    in_process(args.episodes, args.rounds)
    for in_flight in args.in_flight:
        over_http(args.episodes, args.rounds, in_flight, args.latency)


if __name__ == "__main__":
    main()
