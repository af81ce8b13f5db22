"""MOPD against GRPO, and against merging and naive distillation, from one start on one machine.

    python benchmarks/mopd_vs_grpo.py --out DIR
    python benchmarks/mopd_vs_grpo.py --out DIR --parts three_teachers --mopd-samples 32

Start: the toy, fine-tuned on instructions, documents and, at difficulty 4, calls: two functions
with three arguments or so, each of which goes wrong every second time (`--slips`), so that one
reward judges several decisions. Part "contest": a teacher of calls is made by GRPO from the start;
then MOPD and GRPO start there again, on the same tasks, with three seeds. How many updates, samples
and seconds until the held-out score is inside the teacher's 95 % interval? Part "three_teachers":
one teacher of each domain; recovered headroom of MOPD as published, with balances and at the whole
vocabulary, of the naive mean over tokens, and of merges by task arithmetic; and what scoring by
teachers adds to a step. Results go to DIR/PART.json and DIR/*.svg; what is finished is not done
again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from cascade.envs.tasksets import MiniSource
from cascade.trainer.balance import EvenDomains, FollowGaps, TokenMean
from cascade.trainer.collect import TrainEnv
from cascade.trainer.console import Watch
from cascade.trainer.grpo import Evaluation, GrpoStage
from cascade.trainer.heldout import HeldOut, Sampler, evaluate_checkpoint
from cascade.trainer.loop import train
from cascade.trainer.losses import MopdTopK
from cascade.trainer.merge import merge_weights
from cascade.trainer.metrics import read_metrics
from cascade.trainer.mopd import MopdStage
from cascade.trainer.optimizer import OptimizerConfig
from cascade.trainer.page import Series, curve_svg
from cascade.trainer.recipe import Pretrained, Recipe, Stage
from cascade.trainer.registry import Entry, Registry, weights_digest
from cascade.trainer.scores import Score
from cascade.trainer.sft import Example
from cascade.trainer.sft_stage import SftStage
from cascade.trainer.toy_domains import DOMAINS, DomainSolutions, DomainToy
from cascade.types import SamplingParams

ONE = "tool_calling"
THREE = ("instructions", "tool_calling", "structured_output")
SIZES = {"instructions": (400, 100), "tool_calling": (2000, 100), "structured_output": (600, 100)}
"""Tasks to train on, and held out."""
RATE = 3e-4
ARMS: Mapping[str, Mapping[str, Any]] = {
    "mopd (responses)": {},
    "mopd (domains)": {"balance": EvenDomains()},
    "mopd (gaps)": {"balance": FollowGaps()},
    "naive (tokens)": {"balance": TokenMean()},
    "mopd (whole vocabulary)": {"loss": MopdTopK()},
}
"""Ways to distil three teachers; the first is as published."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the start is fine-tuned on; implements `cascade.trainer` `Examples`."""

    slips: float
    """How often an argument of a call goes wrong."""

    def load(self, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
        """Generate the examples."""
        easy = {kind: train for kind, (train, _) in SIZES.items() if kind != ONE}
        parts = (
            DomainSolutions(counts=easy, flaws=0.6, num_sums=0, num_recitals=3000),
            DomainSolutions(
                counts={ONE: SIZES[ONE][0]},
                difficulty=4,
                flaws=1.0,
                slips=self.slips,
                num_sums=0,
                num_recitals=0,
            ),
        )
        return [example for part in parts for example in part.load(tokenizer)]


def tasks(kind: str, split: Any) -> MiniSource:
    """Tasks of one split."""
    size = SIZES[kind][split == "test"]
    return MiniSource(kind=kind, split=split, size=size, difficulty=4 if kind == ONE else 1)


def env(kind: str, split: Any = "train") -> TrainEnv:
    """A domain and one of its splits."""
    return TrainEnv(env=DOMAINS[kind], tasks=tasks(kind, split), name=kind)


def grpo(kinds: Sequence[str], steps: int, every: int | None = None) -> GrpoStage:
    """GRPO on some domains."""
    return GrpoStage(
        steps=steps, envs=tuple(map(env, kinds)), groups=16, group_size=8, max_waves=1,
        sampling=SamplingParams(max_tokens=40),
        optimizer=OptimizerConfig(peak_learning_rate=RATE, warmup_steps=2),
        evaluation=None if every is None else evaluation(kinds[0], every),
    )  # fmt: skip


def evaluation(kind: str, every: int) -> Evaluation:
    """A look at the held-out tasks on the way."""
    return Evaluation(env=env(kind, "test"), every=every, samples=2)


def mopd(
    kinds: Sequence[str], steps: int, registry: Path, every: int | None = None,
    samples: int = 32, **changes: Any,
) -> MopdStage:  # fmt: skip
    """MOPD on some domains."""
    return MopdStage(
        steps=steps, envs=tuple(map(env, kinds)), groups=samples, group_size=1,
        sampling=SamplingParams(max_tokens=40), registry=str(registry),
        optimizer=OptimizerConfig(
            peak_learning_rate=RATE, initial_learning_rate=RATE / 10, warmup_steps=5
        ),
        evaluation=None if every is None else evaluation(kinds[0], every),
        **changes,
    )  # fmt: skip


async def trained(stage: Stage, start: Path | None, folder: Path, seed: int) -> Path:
    """Train one stage from `start` (None: from new weights), or take what is there."""
    if not (folder / "final").is_dir():
        model = Pretrained(str(start)) if start else DomainToy()
        recipe = Recipe(
            name=folder.name, model=model, stages=(stage,), seed=seed, threads=1,
            checkpoint_every=1000,
        )  # fmt: skip
        watch = Watch(recipe.name, recipe.total_steps, every=20)
        await train(recipe, folder, resume=True, watch=watch)
    return folder / "final"


def label(name: str) -> str:
    """A name as a folder."""
    return name.replace(" ", "-").strip(")").replace("(", "")


async def scores(folder: Path, kinds: Iterable[str]) -> dict[str, Score]:
    """Held-out scores of a checkpoint."""
    domains = [
        HeldOut(name=k, env=DOMAINS[k], tasks=tasks(k, "test"), samples=2, max_tokens=40)
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


async def teacher_of(kind: str, start: Path, out: Path, args: argparse.Namespace) -> Path:
    """A domain's teacher, by GRPO from the start."""
    return await trained(grpo([kind], args.teacher_steps), start, out / f"t-{kind}", 100)


async def contest(start: Path, out: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Part 1."""
    teacher = await teacher_of(ONE, start, out, args)
    score = (await scores(teacher, [ONE]))[ONE]
    registry = Registry(out).with_entry(
        Entry("teacher", str(teacher.relative_to(out)), weights_digest(teacher), {ONE: score})
    )
    registry.save(out / "registry.json")
    curves: dict[str, list[dict[str, float]]] = {}
    for seed in range(args.seeds):
        arms: dict[str, Stage] = {
            "mopd": mopd(
                [ONE], args.mopd_steps, out / "registry.json", 5, samples=args.mopd_samples
            ),
            "mopd (all tokens)": mopd(
                [ONE],
                args.mopd_steps,
                out / "registry.json",
                5,
                samples=args.mopd_samples,
                loss=MopdTopK(),
            ),
            "grpo": grpo([ONE], args.grpo_steps, 5),
        }
        for name, stage in arms.items():
            folder = out / f"{label(name)}-{seed}"
            await trained(stage, start, folder, seed)
            curves[f"{name} {seed}"] = curve(folder)
    for across in ("step", "samples"):
        series: dict[str, Series] = {
            name: [
                (points[0][across], statistics.mean(point["score"] for point in points))
                for points in zip(
                    *(curves[f"{name} {seed}"] for seed in range(args.seeds)), strict=True
                )
            ]
            for name in arms
        }
        svg = curve_svg(series, title=f"held-out reward, {ONE}, mean of the seeds", x_title=across,
                        y_range=(0.0, 1.0), size=(560, 300))  # fmt: skip
        (out / f"mopd_vs_grpo_{across}.svg").write_text(svg + "\n")
    return {
        "start": str((await scores(start, [ONE]))[ONE]),
        "teacher": str(score), "level": score.low,
        "reached": {name: reached(points, score.low) for name, points in curves.items()},
        "last": {name: points[-1] for name, points in curves.items()},
        "overhead": overhead([out / f"mopd-{seed}" for seed in range(args.seeds)]),
    }  # fmt: skip


async def three_teachers(start: Path, out: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Part 2."""
    registry = Registry(out)
    before = await scores(start, THREE)
    teachers = []
    for kind in THREE:
        folder = await teacher_of(kind, start, out, args)
        teachers.append(folder)
        own = (await scores(folder, [kind]))[kind]
        entry = Entry(kind, str(folder.relative_to(out)), weights_digest(folder), {kind: own})
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
    distilled: list[Path] = []
    for scale in (1 / 3, 0.6, 1.0):
        name = f"merge ({scale:.2f})"
        folder = out / f"merge-{scale:.2f}"
        if not folder.is_dir():
            merge_weights(start, teachers, folder, scale=scale)
        found[name] = [await recovered(folder)]
    for name in args.arms:
        found[name] = []
        for seed in range(args.seeds):
            stage = mopd(
                THREE, args.mopd_steps, out / "three.json",
                samples=args.mopd_samples * len(THREE), **ARMS[name],
            )  # fmt: skip
            folder = await trained(stage, start, out / f"{label(name)}-{seed}", seed)
            distilled.append(folder.parent)
            found[name].append(await recovered(folder))
    return {
        "start": {kind: before[kind].mean for kind in THREE}, "teachers": best,
        "recovered": {
            name: {kind: statistics.mean(row[kind] for row in rows) for kind in THREE}
            | {"mean": statistics.mean(statistics.mean(row.values()) for row in rows)}
            for name, rows in found.items()
        },
        "overhead": overhead(distilled),
    }  # fmt: skip


def overhead(folders: Sequence[Path]) -> float:
    """Share of a step that scoring by teachers adds to the rest, median."""
    shares = [
        line["seconds/teachers"]
        / (line["seconds"] - line.get("seconds/evaluation", 0.0) - line["seconds/teachers"])
        for folder in folders
        for line in list(read_metrics(folder / "metrics.jsonl"))[1:]
    ]
    return float(statistics.median(shares))


PARTS = {"contest": contest, "three_teachers": three_teachers}


async def main() -> None:
    """Run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sft-steps", type=int, default=2000)
    parser.add_argument("--teacher-steps", type=int, default=100)
    parser.add_argument("--grpo-steps", type=int, default=80)
    parser.add_argument("--mopd-steps", type=int, default=40)
    parser.add_argument("--mopd-samples", type=int, default=128, help="an update and domain")
    parser.add_argument(
        "--slips", type=float, default=0.5, help="how often the start gets an argument wrong"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sft = SftStage(
        data=Start(args.slips), steps=args.sft_steps, row_tokens=256, batch_rows=4,
        peak_learning_rate=4e-3, weight_decay=0.3,
    )  # fmt: skip
    start = await trained(sft, None, args.out / "start", 0)
    for part in args.parts:
        text = json.dumps(await PARTS[part](start, args.out, args), indent=1)
        (args.out / f"{part}.json").write_text(text + "\n")
        print(text)


if __name__ == "__main__":
    asyncio.run(main())
