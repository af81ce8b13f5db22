"""The loop around the stages: what a run leaves, and what it says when something is wrong."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.envs.base import Turn
from cascade.envs.trajectories import TrajectoryWriter, read_trajectories
from cascade.errors import (
    CascadeError,
    ConfigError,
    DataError,
    EngineError,
    TrainingError,
    UnknownNameError,
)
from cascade.trainer import cli
from cascade.trainer.checkpoint import checkpoints, load_weights
from cascade.trainer.collect import TrainEnv
from cascade.trainer.engines.generate import ContinuousBatch
from cascade.trainer.grpo import GrpoStage
from cascade.trainer.loop import RunFolder, train
from cascade.trainer.metrics import open_sink, read_metrics
from cascade.trainer.page import curve_svg
from cascade.trainer.recipe import Pretrained, Recipe, load_recipe
from cascade.trainer.samplers import TorchSampling
from cascade.trainer.settings import override
from cascade.types import Verdict, VerdictStatus
from conftest import ROOT
from small_recipe import CoinEnv

FILE = str(Path(__file__).parent.parent / "small_recipe.py")
FINE_TUNING = ["steps=2", "checkpoint_every=1"]


def small(*assignments: str) -> Recipe:
    return override(load_recipe(FILE), assignments)


def reinforced(recipe: Recipe, **changes: Any) -> Recipe:
    """The GRPO stage alone, changed."""
    [stage] = [s for s in recipe.stages if isinstance(s, GrpoStage)]
    return replace(recipe, stages=(replace(stage, evaluation=None, **changes),))


def run(recipe: Recipe, folder: Path, **options: Any) -> Path:
    return asyncio.run(train(recipe, folder, **options))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole small run, from the command line."""
    folder = tmp_path_factory.mktemp("run") / "small"
    assert cli.main([FILE, "--run-dir", str(folder), "--log-every", "9"]) == 0
    return folder


def test_a_run_leaves_settings_numbers_episodes_checkpoints_and_a_page(finished: Path) -> None:
    lines = list(read_metrics(finished / "metrics.jsonl"))
    assert [(line["step"], line["stage"]) for line in lines] == [
        (1, "sft"), (2, "sft"), (3, "grpo"), (4, "grpo"), (5, "grpo"), (6, "grpo"),
    ]  # fmt: skip
    last = lines[-1]
    for name in (
        "reward/mean", "length/mean", "entropy", "mismatch/max_abs", "tokens_per_second",
        "sync/max_abs", "groups/kept", "faults", "eval/pass_rate", "seconds/update", "loss",
    ):  # fmt: skip
        assert name in last, name
    assert last["sync/max_abs"] < 1e-4
    assert [(c.step, c.pinned) for c in checkpoints(finished / "checkpoints")] == [
        (2, True), (3, False), (6, True),
    ]  # fmt: skip
    settings = json.loads((finished / "recipe.json").read_text())
    assert settings["stages"][1]["optimizer"]["peak_learning_rate"] == 0.01
    page = (finished / "index.html").read_text()
    assert page.count("<svg") > 10
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    episodes = list(read_trajectories(finished / "trajectories.jsonl"))
    assert episodes[0].completions[0].weight_version == "grpo-0"
    assert episodes[-1].completions[0].weight_version == "grpo-3"
    assert episodes[-1].completions[-1].token_ids
    load_weights(finished / "final", dtype="float32", device="cpu")
    assert not (finished / "scratch" / "grpo").exists()


def test_a_finished_run_says_so_and_a_started_one_needs_resume(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([FILE, "--run-dir", str(finished)]) == 2
    assert "already holds a run (checkpoint of step 6): pass --resume" in capsys.readouterr().err
    assert cli.main([FILE, "--run-dir", str(finished), "--resume"]) == 0
    assert "all 6 steps are done" in capsys.readouterr().out


def test_an_edited_recipe_says_what_changed(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    run(small("grpo.lr=0.02"), folder, resume=True)
    said = capsys.readouterr().out
    assert "changed since this run began: " in said
    assert "stages.grpo.optimizer.peak_learning_rate: 0.01 -> 0.02" in said


def test_a_checkpoint_of_another_architecture_is_refused(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    with pytest.raises(ConfigError, match=r"another architecture .* hidden_size is 32, .* has 64"):
        run(small("model.toy.hidden_size=64"), folder, resume=True)


def test_a_damaged_checkpoint_is_named(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "run"))
    with (folder / "checkpoints" / "step-000006" / "state.pt").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match=r"step-000006 is damaged: state\.pt has"):
        run(small(), folder, resume=True)


@pytest.mark.parametrize("where", ["model", "state", "journal"])
def test_a_full_disk_is_said_and_nothing_is_lost(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failing write is real: the file given to it is /dev/full."""
    folder = tmp_path / "run"
    run(small(*FINE_TUNING, "steps=1"), folder)
    with monkeypatch.context() as patched:
        _fill_disk(patched, where)
        with pytest.raises(TrainingError, match=r"No space left.*--resume"):
            run(small(*FINE_TUNING, "steps=3"), folder, resume=True)
    assert not list(folder.glob("checkpoints/.new-*"))
    assert checkpoints(folder / "checkpoints")
    run(small(*FINE_TUNING, "steps=3"), folder, resume=True)
    assert [line["step"] for line in read_metrics(folder / "metrics.jsonl")] == [1, 2, 3]


def _fill_disk(patched: pytest.MonkeyPatch, where: str) -> None:
    import torch
    from transformers import PreTrainedModel

    def no_space(*ignored: Any) -> None:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")

    if where == "state":
        save = torch.save

        def save_nowhere(state: Any, file: Any) -> None:
            with open("/dev/full", "wb") as full:
                save(state, full)

        patched.setattr(torch, "save", save_nowhere)
    elif where == "model":
        patched.setattr(PreTrainedModel, "save_pretrained", no_space)
    else:
        patched.setattr(TrajectoryWriter, "write", no_space)


def test_a_tokenizer_without_chat_template_is_refused(
    model_folder: Path, tokenizer: Any, tmp_path: Path
) -> None:
    bare = Path(shutil.copytree(model_folder, tmp_path / "bare"))
    (bare / "chat_template.jinja").unlink(missing_ok=True)
    recipe = replace(small(), model=Pretrained(str(bare)))
    with pytest.raises(ConfigError, match=r"has no chat template: set model\.chat_template"):
        run(recipe, tmp_path / "run")


class Strange(CoinEnv):
    """Gives rewards that no episode may have."""

    answer: Any = None

    def respond(self, text: str) -> Turn:
        """Answer as told."""
        turn: Turn = self.answer(text)
        return turn


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda text: Turn(reward=float("nan"), verdict=Verdict.wrong()), "got nan"),
        (lambda text: Turn(reward=0.7, verdict=Verdict.correct()), "got 1.7"),
        (lambda text: Turn(verdict=Verdict(1.5, VerdictStatus.PARTIAL)), "got 1.5"),
    ],
)
def test_a_reward_that_is_none_stops_the_run_and_names_the_environment(
    answer: Any, message: str, tmp_path: Path
) -> None:
    env = type("Strange", (Strange,), {"answer": staticmethod(answer)})
    recipe = reinforced(small("steps=1"), envs=(TrainEnv(env=env),))
    with pytest.raises(CascadeError, match=rf"environment 'Strange', task 'arith.*{message}"):
        run(recipe, tmp_path / "run")


class Judged(CoinEnv):
    """One turn; the judge fails at every third answer, and for the task of `broken` always."""

    calls = 0
    broken: str | None = None

    def respond(self, text: str) -> Turn:
        """Fail, or flip a coin by the number of the call."""
        cls = type(self)
        cls.calls += 1
        if self.task.id == self.broken or cls.calls % 3 == 0:
            return Turn(verdict=Verdict.fault("the judge is out"))
        return Turn(verdict=Verdict.correct() if cls.calls % 2 else Verdict.wrong())


def test_faults_are_tried_again_counted_and_in_no_statistic(tmp_path: Path) -> None:
    env = type("Judged", (Judged,), {})
    recipe = reinforced(small("steps=1"), envs=(TrainEnv(env=env),), groups=2, max_waves=1)
    run(recipe, tmp_path / "run")
    [line] = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert line["faults"] > 0
    assert line["episodes"] == 8 - line["faults/lost"]
    assert line["reward/mean"] * line["episodes"] == pytest.approx(
        round(line["reward/mean"] * line["episodes"])
    )


def test_only_faults_stop_the_run_with_their_reason(tmp_path: Path) -> None:
    def out(text: str) -> Turn:
        return Turn(verdict=Verdict.fault("the judge is out"))

    env = type("Strange", (Strange,), {"answer": staticmethod(out)})
    recipe = reinforced(small("steps=1"), envs=(TrainEnv(env=env),), fault_retries=1)
    with pytest.raises(
        EngineError, match=r"every episode of the stage's step 1 is a FAULT.*is out"
    ):
        run(recipe, tmp_path / "run")


def test_groups_without_difference_are_refilled_up_to_a_bound(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def right(text: str) -> Turn:
        return Turn(verdict=Verdict.correct())

    env = type("Strange", (Strange,), {"answer": staticmethod(right)})
    recipe = reinforced(small("steps=1"), envs=(TrainEnv(env=env),), max_waves=2)
    run(recipe, tmp_path / "run")
    [line] = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert (line["waves"], line["groups/dropped"], line["groups/kept"]) == (2, 6, 0)
    assert line["update/skipped"] == 1
    assert "nothing to learn from: the update is left out" in capsys.readouterr().out


class Dying(TorchSampling):
    """An engine whose model fails in the middle of a wave, twice."""

    async def open(self, model: Any, tokenizer: Any, scratch: Path) -> Any:
        """Break the batch's step at two of its calls."""
        sampler = await super().open(model, tokenizer, scratch)
        real, calls = ContinuousBatch.step, [0]

        def step(batch: ContinuousBatch) -> Any:
            calls[0] += 1
            if calls[0] in (25, 40):
                raise RuntimeError("the card fell off the bus")
            return real(batch)

        self.patch.setattr(ContinuousBatch, "step", step)  # type: ignore[attr-defined]
        return sampler


def test_an_engine_that_dies_is_opened_anew_for_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = reinforced(small("steps=2"))
    well = run(recipe, tmp_path / "well") / "model.safetensors"
    Dying.patch = monkeypatch  # type: ignore[attr-defined]
    ill = run(reinforced(recipe, engine=Dying(max_batch=8)), tmp_path / "ill")
    assert capsys.readouterr().out.count("policy failed while sampling") == 2
    assert (ill / "model.safetensors").read_bytes() == well.read_bytes()


def test_a_second_process_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    place = RunFolder(tmp_path)
    with place.locked(), pytest.raises(ConfigError, match="another process is training in"):
        run(small(), tmp_path)


def test_the_tiny_recipe_has_the_promised_size_and_held_out_problems() -> None:
    recipe = override(load_recipe(str(ROOT / "recipes" / "tiny_math.py")), ["seed=4", "steps=9"])
    assert recipe.total_steps == 9
    assert 2e6 < recipe.model.open(0).num_parameters() < 4e6
    [stage] = [s for s in recipe.stages if isinstance(s, GrpoStage)]
    assert stage.evaluation is not None
    train, held_out = (
        {task.metadata["problem"] for task in env.open().tasks}
        for env in (stage.envs[0], stage.evaluation.env)
    )
    assert len(held_out) == 128
    assert not train & held_out


def test_trackers_that_are_not_installed_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'wandb'"):
        open_sink("wandbb", tmp_path, "t")


def test_curves_are_drawn_whatever_the_numbers() -> None:
    flat = curve_svg({"a": [(1, 2.0)], "b<": [(0, float("nan")), (3, 5.0)]}, title="t")
    assert flat.count("<polyline") == 2
    assert "b&lt;" in flat
    assert "nan" not in flat
