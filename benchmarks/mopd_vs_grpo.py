"""MOPD against GRPO, and against merging and naive distillation, from one start on one machine.

    python benchmarks/mopd_vs_grpo.py --start runs/tiny_cascade/stages/sft/final --out /tmp/mopd

Part 1: a teacher is made by GRPO from the start; then MOPD and GRPO start there again, on the same
tasks, with three seeds. How many updates, samples and seconds until the held-out score is inside
the teacher's 95 % interval? Part 2: three domain teachers; recovered headroom of MOPD as published
and with balances, of the naive mean over tokens, and of merges by task arithmetic. Part 3: what
scoring by teachers adds to a step. Results go to OUT/results.json and OUT/*.svg; what is finished
is not done again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade.envs.tasksets import MiniSource
from cascade.trainer.balance import Balance, EvenDomains, FollowGaps, ResponseMean, TokenMean
from cascade.trainer.collect import TrainEnv
from cascade.trainer.console import Watch
from cascade.trainer.grpo import Evaluation, GrpoStage
from cascade.trainer.heldout import HeldOut, Sampler, evaluate_checkpoint
from cascade.trainer.loop import train
from cascade.trainer.merge import merge_weights
from cascade.trainer.metrics import read_metrics
from cascade.trainer.mopd import MopdStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.page import Series, curve_svg
from cascade.trainer.recipe import Pretrained, Recipe, Stage
from cascade.trainer.registry import Entry, Registry, weights_digest
from cascade.trainer.scores import Score
from cascade.trainer.toy_domains import DOMAINS
from cascade.types import SamplingParams

ONE = "tool_calling"
THREE = ("instructions", "tool_calling", "structured_output")
TRAIN, TEST = 400, 100
RATE = 3e-4
BALANCES: Mapping[str, Balance] = {
    "mopd (responses)": ResponseMean(),
    "mopd (domains)": EvenDomains(),
    "mopd (gaps)": FollowGaps(),
    "naive (tokens)": TokenMean(),
}


def tasks(kind: str, split: Any) -> MiniSource:
    """Tasks of one split."""
    return MiniSource(kind=kind, split=split, size=TRAIN if split == "train" else TEST)


def env(kind: str, split: Any = "train") -> TrainEnv:
    """A domain and one of its splits."""
    return TrainEnv(env=DOMAINS[kind], tasks=tasks(kind, split), name=kind)


def grpo(kinds: Sequence[str], steps: int, every: int | None = None) -> GrpoStage:
    """GRPO on some domains."""
    return GrpoStage(
        steps=steps, envs=tuple(map(env, kinds)), groups=16, group_size=8, max_waves=1,
        sampling=SamplingParams(max_tokens=32),
        optimizer=OptimizerConfig(peak_learning_rate=RATE, warmup_steps=2),
        evaluation=None if every is None else evaluation(kinds[0], every),
    )  # fmt: skip


def evaluation(kind: str, every: int) -> Evaluation:
    """A look at the held-out tasks on the way."""
    return Evaluation(env=env(kind, "test"), every=every, samples=2)


def mopd(
    kinds: Sequence[str], steps: int, registry: Path, every: int | None = None,
    balance: Balance | None = None, samples: int = 32,
) -> MopdStage:  # fmt: skip
    """MOPD on some domains."""
    return MopdStage(
        steps=steps, envs=tuple(map(env, kinds)), groups=samples, group_size=1,
        sampling=SamplingParams(max_tokens=32), registry=str(registry),
        balance=balance or ResponseMean(),
        optimizer=OptimizerConfig(
            peak_learning_rate=RATE, initial_learning_rate=RATE / 10, warmup_steps=5
        ),
        evaluation=None if every is None else evaluation(kinds[0], every),
    )  # fmt: skip


async def trained(stage: Stage, start: Path, folder: Path, seed: int) -> Path:
    """Train one stage from `start`, or take what is there."""
    if not (folder / "final").is_dir():
        recipe = Recipe(
            name=folder.name, model=Pretrained(str(start)), stages=(stage,), seed=seed, threads=1,
            checkpoint_every=1000,
        )  # fmt: skip
        watch = Watch(recipe.name, recipe.total_steps, every=20)
        await train(recipe, folder, resume=True, watch=watch)
    return folder / "final"


async def scores(folder: Path, kinds: Iterable[str]) -> dict[str, Score]:
    """Held-out scores of a checkpoint."""
    domains = [
        HeldOut(name=k, env=DOMAINS[k], tasks=tasks(k, "test"), samples=2, max_tokens=32)
        for k in kinds
    ]
    return await evaluate_checkpoint(folder, domains, Sampler(), seed=0)


def curve(folder: Path) -> list[dict[str, float]]:
    """Held-out points of a run: updates, samples and seconds of training so far, score."""
    points, samples, seconds = [], 0.0, 0.0
    for line in read_metrics(folder / "metrics.jsonl"):
        if "eval/start_pass_rate" in line:
            points.append({"step": 0.0, "samples": 0.0, "seconds": 0.0,
                           "score": line["eval/start_pass_rate"]})  # fmt: skip
        samples += line["episodes"]
        seconds += line["seconds"] - line.get("seconds/evaluation", 0.0)
        if "eval/pass_rate" in line:
            points.append({"step": line["step"], "samples": samples, "seconds": seconds,
                           "score": line["eval/pass_rate"]})  # fmt: skip
    return points


def reached(points: Sequence[Mapping[str, float]], level: float) -> Mapping[str, float] | None:
    """The first point that has at least this score."""
    return next((point for point in points if point["score"] >= level), None)


async def contest(start: Path, out: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Part 1."""
    teacher = await trained(grpo([ONE], args.teacher_steps), start, out / "teacher", 100)
    score = (await scores(teacher, [ONE]))[ONE]
    registry = Registry(out).with_entry(
        Entry("teacher", "teacher/final", weights_digest(teacher), {ONE: score})
    )
    registry.save(out / "registry.json")
    curves: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.seeds):
        arms: dict[str, Stage] = {
            "mopd": mopd(
                [ONE], args.mopd_steps, out / "registry.json", 5, samples=args.mopd_samples
            ),
            "grpo": grpo([ONE], args.grpo_steps, 5),
        }
        for name, stage in arms.items():
            folder = out / f"{name}-{seed}"
            await trained(stage, start, folder, seed)
            curves[f"{name} {seed}"] = curve(folder)
    for across in ("step", "samples"):
        series: dict[str, Series] = {
            name: [(point[across], point["score"]) for point in points]
            for name, points in curves.items()
        }
        svg = curve_svg(series, title=f"held-out reward, {ONE}", x_title=across,
                        y_range=(0.0, 1.0), size=(560, 300))  # fmt: skip
        (out / f"mopd_vs_grpo_{across}.svg").write_text(svg + "\n")
    return {
        "teacher": str(score), "level": score.low,
        "reached": {name: reached(points, score.low) for name, points in curves.items()},
        "last": {name: points[-1] for name, points in curves.items()},
    }  # fmt: skip


async def three_teachers(start: Path, out: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Part 2."""
    registry = Registry(out)
    before = await scores(start, THREE)
    teachers = []
    for kind in THREE:
        folder = await trained(grpo([kind], args.teacher_steps), start, out / f"t-{kind}", 100)
        teachers.append(folder)
        own = (await scores(folder, [kind]))[kind]
        entry = Entry(kind, f"t-{kind}/final", weights_digest(folder), {kind: own})
        registry = registry.with_entry(entry)
    registry.save(out / "three.json")
    best = {kind: registry.get(kind).scores[kind].mean for kind in THREE}

    async def recovered(folder: Path) -> dict[str, float]:
        after = await scores(folder, THREE)
        return {
            kind: (after[kind].mean - before[kind].mean) / (best[kind] - before[kind].mean)
            for kind in THREE
        }

    found: dict[str, list[dict[str, float]]] = {}
    for scale in (1 / 3, 0.6, 1.0):
        name = f"merge ({scale:.2f})"
        folder = out / f"merge-{scale:.2f}"
        if not folder.is_dir():
            merge_weights(start, teachers, folder, scale=scale)
        found[name] = [await recovered(folder)]
    for name, balance in BALANCES.items():
        found[name] = []
        for seed in range(args.seeds):
            stage = mopd(THREE, args.mopd_steps, out / "three.json", balance=balance, samples=48)
            label = name.replace(" ", "-").strip(")").replace("(", "")
            folder = await trained(stage, start, out / f"{label}-{seed}", seed)
            found[name].append(await recovered(folder))
    return {
        "start": {kind: before[kind].mean for kind in THREE}, "teachers": best,
        "recovered": {
            name: {kind: statistics.mean(row[kind] for row in rows) for kind in THREE}
            | {"mean": statistics.mean(statistics.mean(row.values()) for row in rows)}
            for name, rows in found.items()
        },
    }  # fmt: skip


def overhead(out: Path) -> dict[str, float]:
    """Share of a step that scoring by teachers adds to the rest, by number of teachers."""
    found = {}
    for name, folder in (("one teacher", "mopd-0"), ("three teachers", "mopd-responses-0")):
        lines = list(read_metrics(out / folder / "metrics.jsonl"))[1:]
        shares = [
            line["seconds/teachers"]
            / (line["seconds"] - line.get("seconds/evaluation", 0.0) - line["seconds/teachers"])
            for line in lines
        ]
        found[name] = statistics.median(shares)
    return found


async def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--start", type=Path, required=True, help="folder of the SFT checkpoint")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--teacher-steps", type=int, default=40)
    parser.add_argument("--grpo-steps", type=int, default=40)
    parser.add_argument("--mopd-steps", type=int, default=30)
    parser.add_argument("--mopd-samples", type=int, default=128, help="an update; GRPO has 128")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"contest": await contest(args.start, args.out, args)}
    results["three_teachers"] = await three_teachers(args.start, args.out, args)
    results["overhead"] = overhead(args.out)
    text = json.dumps(results, indent=1)
    (args.out / "results.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    asyncio.run(main())
