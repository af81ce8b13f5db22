"""Tool steps of the simulated office a second, on one core, and memory over ten thousand episodes.

An episode copies the office, calls the gold calls through the toolbox (arguments checked, results
written as JSON) and is judged against the gold calls, replayed. Steps are the calls of the episode
alone; the replay is part of the price. Time is processor time: a busy machine does not count.

Usage:  python benchmarks/workplace_steps.py [--episodes 10000] [--tasks 500]
"""

from __future__ import annotations

import argparse
import os
import resource
import time

from cascade.envs.workplace import judge_calls, workplace_tasks
from cascade.verifiers.tools import Call

TARGET = 3_000


def resident_mebibytes() -> float:
    """The highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--episodes", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=500)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    started = time.process_time()
    tasks = workplace_tasks(arguments.tasks)
    print(f"{len(tasks)} tasks made, {len(tasks) / (time.process_time() - started):,.0f} a second")
    episodes = [
        (task.reference, [Call(c["name"], c["arguments"]) for c in task.reference["calls"]])
        for task in tasks
    ]
    for reference, calls in episodes:
        judge_calls(reference, calls)
    before, steps, started = resident_mebibytes(), 0, time.process_time()
    for index in range(arguments.episodes):
        reference, calls = episodes[index % len(episodes)]
        if judge_calls(reference, calls).reward != 1:
            raise SystemExit(f"the gold calls of {reference} do not earn the reward")
        steps += len(calls)
    seconds = time.process_time() - started
    rate = f"{steps / seconds:,.0f} steps a second (target {TARGET:,})"
    print(f"{arguments.episodes:,} episodes, {steps:,} steps: {rate}")
    print(f"peak memory {before:.1f} MiB before, {resident_mebibytes():.1f} MiB after")


if __name__ == "__main__":
    main()
