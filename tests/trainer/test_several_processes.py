"""The real command under torchrun, two processes with gloo, beside the same command alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from cascade.trainer import cli
from cascade.trainer.checkpoint import load_weights
from cascade.trainer.metrics import read_metrics
from cascade.trainer.recipe import load_recipe
from cascade.trainer.registry import Entry, Registry, weights_digest
from cascade.trainer.scores import score_of

TESTS = Path(__file__).parent.parent
RECIPE = str(TESTS / "small_recipe.py")
SETTINGS = [
    "steps=5", "sft.batch_rows=3", "grpo.optimizer.peak_learning_rate=0.001",
    "grpo.optimizer.epsilon=0.0001", "grpo.loss.kl_coefficient=0.1",
    "grpo.policy.micro_batch_tokens=200",
]  # fmt: skip
"""Two steps of fine-tuning, three of GRPO; neither rows nor micro-batches divide evenly. With a
small epsilon AdamW makes whole steps of the rounding errors where a gradient is nearly 0."""


def arguments(folder: Path, recipe: str = RECIPE, *more: str) -> list[str]:
    return [recipe, "--run-dir", str(folder), *(w for s in SETTINGS for w in ("--set", s)), *more]


def started(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            "-m", "cascade.trainer.cli", *words,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait; return what it wrote to standard output and error."""
    try:
        return process.communicate(timeout=120)
    finally:
        process.kill()


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = load_weights(folder / "final", dtype="float32", device="cpu")
    return dict(model.state_dict())


def assert_same(one: Path, other: Path) -> None:
    """Compare final weights and metrics, but for how long things took."""
    for name, weight in weights(one).items():
        assert torch.allclose(weight, weights(other)[name], rtol=0, atol=1e-5), name
    lines, others = (list(read_metrics(f / "metrics.jsonl")) for f in (one, other))
    assert [line["step"] for line in others] == [line["step"] for line in lines]
    for a, b in zip(lines, others, strict=True):
        assert set(a) == set(b)
        for name, value in a.items():
            if not name.startswith(("seconds", "tokens_per_second")):
                same = value if isinstance(value, str) else pytest.approx(value, rel=1e-5, abs=1e-5)
                assert b[name] == same, (a["step"], name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert cli.main(arguments(folder)) == 0
    return folder


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run of two."""
    folder = tmp_path_factory.mktemp("together") / "run"
    process = started(arguments(folder))
    told, errors = ended(process)
    assert process.returncode == 0, errors[-4000:]
    assert told.count("grpo 3/5") == told.count("the trained model is in") == 1
    return folder


def cut_back(folder: Path, new: Path) -> Path:
    """Copy a run as it was after its third step."""
    shutil.copytree(folder, new)
    shutil.rmtree(new / "final")
    shutil.rmtree(new / "checkpoints" / "step-000005")
    return new


def test_two_processes_train_what_one_trains(alone: Path, together: Path) -> None:
    assert_same(alone, together)
    names = [sorted(p.name for p in f.rglob("*") if p.is_file()) for f in (alone, together)]
    assert names[0] == names[1]


def test_one_process_goes_on_where_two_were(alone: Path, together: Path, tmp_path: Path) -> None:
    folder = cut_back(together, tmp_path / "run")
    assert cli.main(arguments(folder, RECIPE, "--resume")) == 0
    assert_same(alone, folder)


def test_two_processes_go_on_where_one_was(alone: Path, tmp_path: Path) -> None:
    folder = cut_back(alone, tmp_path / "run")
    process = started(arguments(folder, RECIPE, "--resume"))
    told, errors = ended(process)
    assert process.returncode == 0, errors[-4000:]
    assert told.count("going on from step 3") == 1
    assert_same(alone, folder)


def failing(folder: Path, answer: str) -> str:
    """Write a recipe whose environment does `answer` instead of asking or judging."""
    file = folder / "failing.py"
    file.write_text(
        f"""\
import time
from dataclasses import replace

from cascade.errors import ConfigError
from cascade.trainer.collect import TrainEnv
import small_recipe


class FailingEnv(small_recipe.CoinEnv):
    def respond(self, text):
        {answer}
        return super().respond(text)


def recipe():
    made = small_recipe.recipe()
    [tuning, grpo] = made.stages
    tasks = grpo.envs[0].tasks
    envs = (TrainEnv(env=FailingEnv, tasks=tasks),)
    return replace(made, stages=(tuning, replace(grpo, envs=envs, evaluation=None)))
""",
        encoding="utf-8",
    )
    return str(file)


def test_an_error_of_an_environment_ends_both_with_one_line(tmp_path: Path) -> None:
    recipe = failing(tmp_path, "raise ConfigError('the judge is not configured')")
    process = started(arguments(tmp_path / "run", recipe))
    _, errors = ended(process)
    assert process.returncode != 0
    lines = [line for line in errors.splitlines() if line.startswith("cascade-train:")]
    assert len(lines) == 1
    assert lines[0].endswith("the judge is not configured")
    assert "FirstRankFailed" not in errors


def test_an_interrupt_ends_both_with_one_line(tmp_path: Path) -> None:
    process = started(arguments(tmp_path / "run", failing(tmp_path, "time.sleep(0.3)")))
    assert process.stdout is not None
    while not process.stdout.readline().startswith("sft 2/"):
        assert process.poll() is None
    time.sleep(2)
    interrupted = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = ended(process)
    assert time.monotonic() - interrupted < 20
    assert errors.count("cascade-train: interrupted") == 1, errors[-4000:]


def distilling(folder: Path) -> str:
    """Write a recipe with two teachers, which are saved beside it."""
    source = load_recipe(RECIPE).model
    held = Registry(folder)
    for seed, name in enumerate(("math", "choice"), start=1):
        source.open(seed).save_pretrained(folder / name)
        source.tokenizer().save_pretrained(folder / name)
        digest = weights_digest(folder / name)
        held = held.with_entry(Entry(name, name, digest, {name: score_of([1.0])}, (name,)))
    held.save(folder / "registry.json")
    file = folder / "distilling.py"
    file.write_text(
        f"""\
from dataclasses import replace

from cascade.envs.tasksets import MiniSource
from cascade.trainer.balance import FollowGaps
from cascade.trainer.collect import TrainEnv
from cascade.trainer.mopd import MopdStage
import small_recipe


def env(id, kind, name):
    return TrainEnv(env=id, tasks=MiniSource(kind=kind, size=8, split="train"), name=name)


def recipe():
    made = small_recipe.recipe()
    stage = MopdStage(
        steps=2,
        envs=(env("cascade/Math-v0", "arithmetic", "math"),
              env("cascade/MultipleChoice-v0", "choice", "choice")),
        groups=4, group_size=2, updates=2, balance=FollowGaps(),
        registry={str(folder / "registry.json")!r},
        sampling=made.stages[1].sampling, engine=made.stages[1].engine,
    )
    return replace(made, stages=(stage,))
""",
        encoding="utf-8",
    )
    return str(file)


def test_two_processes_distill_what_one_distills(tmp_path: Path) -> None:
    words = [distilling(tmp_path), "--set", "mopd.policy.micro_batch_tokens=300", "--run-dir"]
    assert cli.main([*words, str(tmp_path / "one")]) == 0
    process = started([*words, str(tmp_path / "two")])
    _, errors = ended(process)
    assert process.returncode == 0, errors[-4000:]
    assert_same(tmp_path / "one", tmp_path / "two")


def cascade_file(folder: Path, gate: str) -> str:
    file = folder / "cascade.py"
    file.write_text(
        f"""\
from dataclasses import replace

import small_recipe
from cascade.envs.tasksets import MiniSource
from cascade.trainer.cascade import Cascade, CascadeStage, Continue, Require
from cascade.trainer.heldout import HeldOut


def recipe():
    made = small_recipe.recipe()
    tuning, grpo = (replace(stage, steps=2) for stage in made.stages)
    tasks = MiniSource(kind="arithmetic", size=4)
    math = HeldOut(name="math", env="cascade/Math-v0", tasks=tasks, max_tokens=8)
    return Cascade(
        name="pair", model=made.model, domains=(math,), threads=1,
        stages=(
            CascadeStage(stage=tuning, gate={gate}),
            CascadeStage(stage=replace(grpo, evaluation=None)),
        ),
    )
""",
        encoding="utf-8",
    )
    return str(file)


def test_two_processes_run_a_cascade_and_go_on_with_it(tmp_path: Path) -> None:
    file, folder = cascade_file(tmp_path, "Continue()"), tmp_path / "run"
    process = started([file, "--run-dir", str(folder)])
    shown, errors = ended(process)
    assert process.returncode == 0, errors[-2000:]
    assert shown.count("what each stage did to each domain is in") == 1
    registry = Registry.load(folder / "registry.json")
    assert [entry.name for entry in registry.entries] == ["sft", "grpo"]
    for entry in registry.entries:
        assert entry.weights_sha256 == weights_digest(folder / "stages" / entry.name / "final")
    assert "What each stage did" in (folder / "index.html").read_text()
    shown, errors = ended(started([file, "--run-dir", str(folder)]))
    assert shown.count("trained already") == 2


def test_a_gate_that_stops_a_cascade_ends_both_with_one_line(tmp_path: Path) -> None:
    file = cascade_file(tmp_path, "Require('math', 1.0)")
    process = started([file, "--run-dir", str(tmp_path / "run")])
    _, errors = ended(process)
    assert process.returncode != 0
    lines = [line for line in errors.splitlines() if line.startswith("cascade-train:")]
    assert len(lines) == 1
    assert "the gate after stage 'sft' stopped the cascade" in lines[0]
