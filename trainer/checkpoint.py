"""Checkpoints: folders that appear whole or not at all, and hold all that the next steps depend on.

``checkpoints/step-000040`` has the weights as transformers saves them (``from_pretrained`` and
vLLM load the folder), the tokenizer, ``state.pt`` (optimizer, cursors, generators: plain containers
and tensors) and ``manifest.json``, which lists every file with its size. A folder is written under
another name, forced to disk, and renamed: a killed process leaves at most a ``.new-…`` folder, and
the next start removes it.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError, DataError, TrainingError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "Checkpoint",
    "align",
    "check_same_architecture",
    "checkpoints",
    "generators",
    "load_weights",
    "prune",
    "remove_leftovers",
    "restore_generators",
    "save_checkpoint",
    "save_model",
    "step_of_model",
]

FORMAT = "cascade.checkpoint/1"
_MANIFEST, _STATE = "manifest.json", "state.pt"
_NEW = ".new-"
_UNTOLD = frozenset({"_name_or_path", "transformers_version", "dtype", "torch_dtype"})
"""Fields of a model's config that may differ between a checkpoint and the recipe's model."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint on disk."""

    folder: Path
    step: int
    """Steps of the run that led to it."""
    facts: Mapping[str, Any]
    """What the manifest says: stage, position, sizes of the run's append-only files, …."""

    @property
    def pinned(self) -> bool:
        """Whether pruning leaves it alone (the end of a stage)."""
        return bool(self.facts.get("pinned"))

    def state(self) -> dict[str, Any]:
        """Load ``state.pt`` onto the CPU.

        Raises:
            DataError: it cannot be read.
        """
        import torch

        try:
            loaded = torch.load(self.folder / _STATE, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError) as error:
            raise DataError(f"cannot read {self.folder / _STATE}: {error}") from error
        return dict(loaded)


def checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the whole checkpoints below `folder`, oldest first.

    Raises:
        DataError: one lacks a file, or a file has another size than was written.
    """
    found = [_read(path) for path in sorted(folder.glob("step-*")) if path.is_dir()]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def _read(folder: Path) -> Checkpoint:
    try:
        facts = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise DataError(f"{folder} has format {facts['format']!r}; this version reads {FORMAT}")
        for name, size in facts["files"].items():
            held = (folder / name).stat().st_size if (folder / name).is_file() else None
            if held != size:
                raise DataError(
                    f"checkpoint {folder} is damaged: {name} has {held} bytes, {size} were "
                    "written; remove the folder to go on from the checkpoint before it"
                )
        return Checkpoint(folder, int(facts["step"]), facts)
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise DataError(
            f"checkpoint {folder} has no readable {_MANIFEST} ({error}); remove the folder to go "
            "on from the checkpoint before it"
        ) from error


def save_checkpoint(
    folder: Path,
    name: str,
    *,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    state: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> Path:
    """Write ``folder/name``, whole or not at all.

    Args:
        folder: of the checkpoints.
        name: ``step-000040``.
        model: its weights are saved by transformers, experts included.
        tokenizer: saved beside them.
        state: plain containers and tensors.
        facts: go into the manifest; "step" must be among them.

    Raises:
        TrainingError: the disk is full or cannot be written; checkpoints that exist are untouched.
    """

    def write(new: Path) -> None:
        import torch

        _write_model(new, model, tokenizer)
        with (new / _STATE).open("wb") as file:  # a path would hide why a write fails
            torch.save(dict(state), file)
        files = {path.name: path.stat().st_size for path in sorted(new.iterdir())}
        manifest = {"format": FORMAT, **facts, "files": files}
        (new / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")

    return _write_whole(folder, name, write)


def save_model(
    folder: Path,
    name: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    step: int = 0,
) -> Path:
    """Write a folder with weights, tokenizer and the number of steps, whole or not at all.

    Raises:
        TrainingError: the disk is full or cannot be written.
    """

    def write(new: Path) -> None:
        _write_model(new, model, tokenizer)
        (new / _MANIFEST).write_text(json.dumps({"step": step}), encoding="utf-8")

    return _write_whole(folder, name, write)


def step_of_model(folder: Path) -> int | None:
    """Return the steps that led to a folder of `save_model`; None if there is none."""
    try:
        return int(json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))["step"])
    except OSError:
        return None


def _write_model(folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _write_whole(folder: Path, name: str, write: Any) -> Path:
    """Call `write(new folder)`, force what it wrote to disk, and give the folder its name."""
    from safetensors import SafetensorError

    target, new = folder / name, folder / f"{_NEW}{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        write(new)
        for path in [*new.iterdir(), new]:
            _force_to_disk(path)
        if target.exists():  # the same step again, after a resume
            shutil.rmtree(target)
        os.replace(new, target)
        _force_to_disk(folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(new, ignore_errors=True)
        raise TrainingError(
            f"cannot save {target}: {error} ({_free(folder)}); nothing saved before is lost: make "
            "room, then run the same command with --resume"
        ) from error
    return target


def _free(folder: Path) -> str:
    try:
        return f"{shutil.disk_usage(folder).free / 2**20:.0f} MiB are free"
    except OSError:
        return "the folder cannot be read"


def _force_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed while saving left behind."""
    for path in folder.glob(f"{_NEW}*"):
        shutil.rmtree(path, ignore_errors=True)


def prune(folder: Path, keep: int) -> None:
    """Remove all but the `keep` newest checkpoints and the pinned ones."""
    passing = [checkpoint for checkpoint in checkpoints(folder) if not checkpoint.pinned]
    for checkpoint in passing[:-keep]:
        # Renamed first: a folder that is half removed must not look like a checkpoint.
        doomed = folder / f"{_NEW}{checkpoint.folder.name}"
        os.replace(checkpoint.folder, doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def load_weights(folder: Path, *, dtype: str, device: str) -> PreTrainedModel:
    """Load the model of a checkpoint; every parameter must be in it.

    transformers would make up a weight that it does not find, with a warning only.

    Raises:
        DataError: weights are missing, left over, or of another shape.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from cascade.trainer.models import torch_dtype

    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch_dtype(dtype), output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"cannot load the weights of {folder}: {error}") from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        names = sorted(map(str, told.get(kind) or ()))
        if names:
            raise DataError(f"{folder}: {kind.replace('_', ' ')}: {', '.join(names[:5])}")
    model = model.to(torch.device(device)).eval()
    align(model)
    return model


def align(model: PreTrainedModel) -> None:
    """Move the weights into memory of torch's own alignment.

    Loaded ones lie in the mapped file, wherever it begins, and the last bits of a matrix product on
    the CPU depend on that: a resumed run would not repeat the one that was killed.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def check_same_architecture(folder: Path, wanted: PretrainedConfig) -> None:
    """Compare a checkpoint's config with that of the recipe's model.

    Raises:
        ConfigError: names the fields that differ.
    """
    from transformers import AutoConfig

    held = AutoConfig.from_pretrained(folder).to_dict()
    asked = type(wanted).from_dict(wanted.to_dict()).to_dict()
    if held.get("model_type") != asked.get("model_type"):
        different = [_difference("model_type", held, asked)]
    else:
        names = (held.keys() | asked.keys()) - _UNTOLD - {"architectures"}
        different = [
            _difference(name, held, asked)
            for name in sorted(names)
            if _plain(held.get(name)) != _plain(asked.get(name))
        ]
    if different:
        raise ConfigError(
            f"checkpoint {folder} is of another architecture than the recipe's model: "
            f"{'; '.join(different[:6])}. Use the recipe that the run was started with, or "
            "another --run-dir"
        )


def _difference(name: str, held: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    return f"{name} is {held.get(name)!r}, the recipe has {asked.get(name)!r}"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def generators() -> dict[str, Any]:
    """Return the state of the process's random generators (Python, NumPy, torch, CUDA)."""
    import numpy as np
    import torch

    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss,
                  gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }  # fmt: skip


def restore_generators(state: Mapping[str, Any]) -> None:
    """Put the process's random generators back to what `generators` returned."""
    import numpy as np
    import torch

    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    _restore_cuda(state["cuda"])


def _restore_cuda(states: Sequence[Any]) -> None:
    import torch

    if states and torch.cuda.is_available() and len(states) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(list(states))
