"""A recipe: a model, and the stages that train it one after another.

A recipe file is Python and defines ``recipe() -> Recipe``. A stage is a frozen dataclass that can
`open` a `StageRun`; the loop (`cascade.trainer.loop`) does everything that stages share: metrics,
checkpoints, resuming, console, sampled trajectories. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from cascade.errors import ConfigError, UnknownNameError
from cascade.trainer.settings import Range, check_fields
from cascade.types import Trajectory

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from cascade.trainer.distributed import Ranks

__all__ = [
    "Context",
    "ModelSource",
    "Pretrained",
    "Recipe",
    "Stage",
    "StageRun",
    "load_recipe",
]


class ModelSource(Protocol):
    """Where a run's first weights come from."""

    @property
    def dtype(self) -> str:
        """Data type of the weights, by name; also of those loaded from a checkpoint."""
        ...

    @property
    def device(self) -> str:
        """A torch device; also for weights loaded from a checkpoint."""
        ...

    def config(self) -> PretrainedConfig:
        """Return the architecture, without making any weights."""
        ...

    def open(self, seed: int) -> PreTrainedModel:
        """Make or load the model; the same seed makes the same weights."""
        ...

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer, with its chat template."""
        ...


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A checkpoint of transformers: a folder or hub id."""

    path: str
    """Folder with config, safetensors and tokenizer, or a hub id."""
    dtype: str = "float32"
    """Data type of the trained weights: float32, bfloat16 or float16."""
    device: str = "cpu"
    """A torch device: cpu, cuda, cuda:1, …"""
    chat_template: str | None = None
    """Name of a template of ours or path of a .jinja file; None: the tokenizer's own."""

    def config(self) -> PretrainedConfig:
        """Read the config file.

        Raises:
            ConfigError: there is none.
        """
        from transformers import AutoConfig

        from cascade.trainer.models import look_up

        look_up(self.path)
        try:
            return AutoConfig.from_pretrained(self.path)
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read the config of model {self.path!r}: {error}") from error

    def open(self, seed: int) -> PreTrainedModel:
        """Load the weights; `seed` changes nothing."""
        from cascade.trainer.models import load_model

        return load_model(self.path, dtype=self.dtype, device=self.device)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer.

        Raises:
            ConfigError: it has no chat template, and none was named.
        """
        from cascade.envs.engines.templates import load_template
        from cascade.trainer.models import load_tokenizer

        tokenizer = load_tokenizer(self.path)
        if self.chat_template is not None:
            tokenizer.chat_template = load_template(self.chat_template)
        if not tokenizer.chat_template:
            raise ConfigError(
                f"the tokenizer of {self.path!r} has no chat template: set "
                "model.chat_template to a name (nemotron_cascade_2) or the path of a .jinja file"
            )
        return tokenizer


@dataclass(slots=True)
class Context:
    """What a stage is given when it opens."""

    model: PreTrainedModel
    """The policy, as the stage before left it; trained in place."""
    tokenizer: PreTrainedTokenizerBase
    folder: Path
    """The run folder. A stage writes only below `scratch`, and into checkpoints by `state()`."""
    scratch: Path
    """Folder of this stage for what outlives a killed process but no checkpoint covers."""
    seed: int
    """This stage's own seed, derived from the recipe's."""
    say: Callable[[str], None] = print
    """Shows a line to the person who watches."""
    record: Callable[[Trajectory], None] = lambda trajectory: None
    """Offers an episode for the file of sampled trajectories."""
    ranks: Ranks | None = None
    """The processes that train `model` together; None: this one alone."""
    whole: PreTrainedModel | None = None
    """Under torchrun, on rank 0: an unsharded copy of `model` on the CPU, which
    `distributed.copy_weights` brings up to date."""


class StageRun(Protocol):
    """A stage that is running. One `step` is one update of the weights."""

    async def step(self, index: int) -> Mapping[str, float]:
        """Do step `index` (from 0) and return its metrics.

        Given the same state and weights, a step must give the same weights to the bit on one
        machine: that is what resuming relies on.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Return what, with the weights, decides all further steps; `torch.save` must take it."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned; the model already has the weights of that moment."""
        ...

    def saved(self) -> None:
        """Hear that a checkpoint with the present state is on disk: older scratch can go."""
        ...

    async def aclose(self) -> None:
        """Release engines and environments."""
        ...


class Stage(Protocol):
    """A frozen dataclass that says what a stage does."""

    @property
    def name(self) -> str:
        """Unique within the recipe; what ``--set NAME.FIELD=VALUE`` addresses."""
        ...

    @property
    def steps(self) -> int:
        """Updates of the weights."""
        ...

    def open(self, context: Context) -> StageRun:
        """Start (or, followed by `load_state`, go on). Heavy imports belong in here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides a run."""

    name: str
    """For titles and reports."""
    model: ModelSource
    """The first weights, and the tokenizer."""
    stages: tuple[Stage, ...]
    """Run in this order on the same weights; each has optimizer and schedule of its own."""
    steps: Annotated[int, Range(1)] | None = None
    """Steps of the whole run. Fewer than the stages have: the run ends early, each schedule as it
    was. More: the last stage gets longer. None: what the stages say."""
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    """Decides everything random."""
    checkpoint_every: Annotated[int, Range(1)] = 20
    """Steps between checkpoints; the end of each stage always has one."""
    keep_checkpoints: Annotated[int, Range(1)] = 2
    """Newest checkpoints that are kept, besides those at the ends of stages."""
    record_every: Annotated[int, Range(1)] = 10
    """Steps between those whose episodes go into the file of sampled trajectories."""
    record_episodes: Annotated[int, Range(0)] = 4
    """Episodes recorded at such a step."""
    deadline_seconds: Annotated[float, Range(above=0)] = 7200.0
    """Several processes: longest that a phase of a step (collecting episodes, an update, a save)
    may take before the run ends and names what each process was at."""
    threads: Annotated[int, Range(1)] | None = None
    """torch's threads on the CPU; None: torch's choice. Other numbers round sums differently."""

    def __post_init__(self) -> None:
        """Refuse recipes that cannot run."""
        check_fields(self)
        names = [stage.name for stage in self.stages]
        if not names:
            raise ConfigError(f"recipe {self.name!r} has no stages: give it at least one")
        if len(set(names)) != len(names):
            raise ConfigError(f"the stages of a recipe need different names, got {names}")

    def plan(self) -> tuple[Stage, ...]:
        """Return the stages with `steps` applied: what really runs."""
        if self.steps is None:
            return self.stages
        planned: list[Stage] = []
        left = self.steps
        for stage in self.stages:
            if left > 0:
                planned.append(stage)
            left -= stage.steps
        if left > 0:
            planned[-1] = replace(planned[-1], steps=planned[-1].steps + left)  # type: ignore[type-var]
        return tuple(planned)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps or sum(stage.steps for stage in self.stages)


def load_recipe(path: str) -> Recipe:
    """Run a recipe file and call its ``recipe()``.

    Raises:
        ConfigError: no such file, it defines no ``recipe``, or that returns something else.
    """
    return recipe_of(run_recipe_file(path), path)


def recipe_of(made: object, path: str) -> Recipe:
    """Return what the recipe file at `path` made, if it is a recipe.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(made, Recipe):
        raise ConfigError(
            f"{path} must define recipe() -> Recipe (or Cascade, where one can be run), got "
            f"{type(made).__name__}"
        )
    return made


def run_recipe_file(path: str) -> object:
    """Return what a recipe file's ``recipe()`` makes: a `Recipe`, or a `Cascade`.

    Raises:
        UnknownNameError: no such file.
        ConfigError: it is not a Python file.
    """
    file = Path(path)
    if not file.is_file():
        near = [str(p) for p in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise UnknownNameError.near("recipe file", path, near)
    name = f"cascade_recipe_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses defined in the file look themselves up there
    spec.loader.exec_module(module)
    made = getattr(module, "recipe", None)
    return made() if callable(made) else made
