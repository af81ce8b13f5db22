"""The toy model: a Qwen3-MoE of under 2 M parameters that learns mini tasks in about a minute.

It is trained on this machine at first use and kept in the user's cache folder. It exists so that
sampling, evaluation and training can be run anywhere with a real model behind them; what it scores
says nothing about anything but itself.

Training is seeded and uses one thread, so one machine makes the same weights each time. Machines
with other vector units sum in another order: their weights differ in the last bits at first, and
their scores by a few points in the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.envs.engines.templates import load_template, template_digest
from cascade.envs.mini import Kind, mini_task, solution, split_of
from cascade.errors import ConfigError
from cascade.trainer.models import torch_dtype
from cascade.trainer.sft import (
    Example,
    SftConfig,
    SftStep,
    encode_conversations,
    encode_pairs,
    train_sft,
)
from cascade.trainer.tokenizer import PHRASES, toy_tokenizer
from cascade.types import Message, Task

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["FreshToy", "ToyConfig", "ToyLessons", "cached_toy", "toy_folder", "train_toy"]

_THREADS = 1
"""One thread: nearly as fast on matrices this small, and not slowed by what else runs."""
_PROBED_TASKS = 200
"""Tasks whose text goes into the cache key, so that new task generators make a new toy."""
_PERIODS = (2, 3, 4, 5, 7, 10, 20, 40, 80, 160)


@dataclass(frozen=True, slots=True)
class ToyConfig:
    """Everything that decides what the toy model is; a change makes a new one."""

    hidden_size: int = 128
    """Width of the residual stream."""
    num_layers: int = 2
    """Transformer layers."""
    num_heads: int = 4
    """Attention heads, each with keys and values of its own."""
    num_experts: int = 8
    """Experts of each layer, of which each token uses two."""
    expert_size: int = 192
    """Hidden units of one expert."""
    max_length: int = 8192
    """Longest text it accepts; it has learned nothing about long ones."""
    initializer_range: float = 0.08
    """Standard deviation of the initial weights; small ones take long to grow."""
    query_gain: float = 2.0
    """Initial weight of the query norm: sharper attention, so copying is learned sooner."""
    rope_theta: float = 1000.0
    """Base of the rotary positions; the texts are short."""
    num_conversations: int = 8000
    """Tasks it learns as conversations. All tasks are of difficulty 1."""
    conversation_shares: dict[Kind, int] = field(
        default_factory=lambda: {"arithmetic": 1, "modular": 1, "number_theory": 1, "choice": 2}
    )
    """Kind -> its share of the conversations."""
    num_drills: int = 14_000
    """Tasks it learns as bare problem and working, without the chat around them."""
    drill_shares: dict[Kind, int] = field(
        default_factory=lambda: {"modular": 3, "number_theory": 2}
    )
    """Kind -> its share of the drills."""
    num_sums: int = 16_000
    """Sums and differences that it learns likewise."""
    largest_term: int = 30
    """Of those; beyond the tasks' own 20, so that adding is easier learned than remembered."""
    seed: int = 0
    """Seeds weights, tasks and their order."""
    sft: SftConfig = field(
        default_factory=lambda: SftConfig(
            steps=1200, row_tokens=128, batch_rows=4, peak_learning_rate=4e-3, weight_decay=1.0
        )
    )
    """How it is trained. The strong decay makes it learn sums rather than learn them by heart."""

    def digest(self) -> str:
        """Name this toy: a hash of the config and of all that its training data depends on."""
        told = {
            "config": asdict(self),
            "phrases": PHRASES,
            "template": template_digest(load_template("nemotron_cascade_2")),
            "tasks": [
                (task.messages, solution(task))
                for task in _tasks(self.conversation_shares, _PROBED_TASKS, self.seed)
            ],
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def toy_folder(config: ToyConfig) -> Path:
    """Where the toy is or will be kept: ``$XDG_CACHE_HOME/cascade/toy/<digest>``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cascade" / "toy" / config.digest()


def cached_toy(config: ToyConfig | None = None, *, show_progress: bool = True) -> Path:
    """Return the folder of the toy model; train it first if it is not there yet.

    Several processes may call this at once: one trains, the others wait for it. A training that
    was cut off leaves nothing behind.

    Raises:
        ConfigError: the cache folder cannot be written.
    """
    config = config or ToyConfig()
    folder = toy_folder(config)
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _train_into(folder, config, show_progress)
    except OSError as error:
        raise ConfigError(
            f"cannot keep the toy model in {folder.parent}: {error}; "
            "set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    return folder


def train_toy(
    config: ToyConfig, on_step: Callable[[SftStep], None] = lambda step: None
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Make the tokenizer, and a model trained on "train" problems only."""
    tokenizer = toy_tokenizer(config.max_length)
    examples = _examples(config, tokenizer)
    with _threads(_THREADS):
        model = _fresh_model(config, tokenizer)
        train_sft(model, examples, config.sft, pad_token_id=tokenizer.pad_token_id, on_step=on_step)
    return model, tokenizer


def _tasks(shares: Mapping[Kind, int], count: int, seed: int) -> Iterator[Task]:
    kinds = random.Random(f"toy/{seed}").choices(list(shares), list(shares.values()), k=count)
    return (mini_task(kind, seed, i, 1, split="train") for i, kind in enumerate(kinds))


def _examples(config: ToyConfig, tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    conversations: list[tuple[Message, ...]] = [
        (*task.messages, {"role": "assistant", "content": solution(task)})
        for task in _tasks(config.conversation_shares, config.num_conversations, config.seed)
    ]
    return [*encode_conversations(tokenizer, conversations), *_drills(config, tokenizer)]


def _drills(config: ToyConfig, tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    """Problem and working alone: the facts in a third of the tokens that a conversation takes."""
    pairs = [
        (f"{task.metadata['problem']}\n", f"{task.metadata['work']}\n")
        for task in _tasks(config.drill_shares, config.num_drills, config.seed + 1)
    ]
    pairs += islice(_sums(config), config.num_sums)
    return encode_pairs(tokenizer, pairs)


def _sums(config: ToyConfig) -> Iterator[tuple[str, str]]:
    """Sums and differences in the words of the tasks, none of them held out for tests."""
    rng = random.Random(f"sums/{config.seed}")
    while True:
        a, b = rng.randint(1, config.largest_term), rng.randint(1, config.largest_term)
        a, sign, b = (a, "+", b) if rng.random() < 0.5 else (max(a, b), "-", min(a, b))
        problem = f"What is {a} {sign} {b}?"
        if split_of(problem) == "train":
            yield f"{problem}\n", f"{a}{sign}{b}={a + b if sign == '+' else a - b}\n"


@dataclass(frozen=True, slots=True)
class FreshToy:
    """The toy's architecture with new weights, as the start of a recipe."""

    toy: ToyConfig = field(default_factory=ToyConfig)
    """Its sizes; how the cached toy is trained does not matter here."""
    dtype: str = "float32"
    """Data type of the weights."""
    device: str = "cpu"
    """Where it is trained."""

    def config(self) -> PretrainedConfig:
        """Return the architecture."""
        return _architecture(self.toy, self.tokenizer())

    def open(self, seed: int) -> PreTrainedModel:
        """Make new weights from `seed`."""
        model: Any = _fresh_model(replace(self.toy, seed=seed), self.tokenizer())
        return model.to(device=self.device, dtype=torch_dtype(self.dtype)).eval()

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """Build the toy's tokenizer."""
        return toy_tokenizer(self.toy.max_length)


@dataclass(frozen=True, slots=True)
class ToyLessons:
    """What the toy learns from, as examples for a stage of fine-tuning."""

    toy: ToyConfig = field(default_factory=ToyConfig)
    """Its numbers and shares of conversations, drills and sums, and its seed."""

    def load(self, tokenizer: PreTrainedTokenizerFast) -> list[Example]:
        """Generate the examples."""
        return _examples(self.toy, tokenizer)


def _architecture(config: ToyConfig, tokenizer: PreTrainedTokenizerFast) -> PretrainedConfig:
    from transformers import Qwen3MoeConfig

    return Qwen3MoeConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_heads,
        head_dim=config.hidden_size // config.num_heads,
        num_experts=config.num_experts,
        num_experts_per_tok=2,
        moe_intermediate_size=config.expert_size,
        intermediate_size=config.expert_size,
        max_position_embeddings=config.max_length,
        initializer_range=config.initializer_range,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        norm_topk_prob=True,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )


def _fresh_model(config: ToyConfig, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    import torch
    from transformers import Qwen3MoeForCausalLM

    torch.manual_seed(config.seed)
    model = Qwen3MoeForCausalLM(_architecture(config, tokenizer))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("q_norm.weight"):
                parameter.fill_(config.query_gain)
        _place_numbers(model, tokenizer, config)
    return model


def _place_numbers(model: Any, tokenizer: Any, config: ToyConfig) -> None:
    """Start the embeddings of number tokens on circles and a line, so that sums are rotations.

    Trained models find this form by themselves, slowly (arXiv 2406.03445).
    """
    import torch

    embedding_V_D = model.get_input_embeddings().weight
    for token, index in tokenizer.get_vocab().items():
        if not token.isdecimal():
            continue
        angles = [2 * math.pi * int(token) / period for period in _PERIODS]
        place = [f(angle) for angle in angles for f in (math.cos, math.sin)]
        place.append((int(token) - 20) / 15)
        place *= config.hidden_size // 2 // len(place)
        embedding_V_D[index, : len(place)] = config.initializer_range * torch.tensor(place)


def _train_into(folder: Path, config: ToyConfig, show_progress: bool) -> None:
    """Train, save beside `folder`, and rename: the folder appears whole or not at all."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as scratch:
        with _progress(config.sft.steps, folder, show_progress) as on_step:
            model, tokenizer = train_toy(config, on_step)
        whole = Path(scratch) / "toy"
        model.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        os.replace(whole, folder)


@contextlib.contextmanager
def _progress(steps: int, folder: Path, show: bool) -> Iterator[Callable[[SftStep], None]]:
    """Show a bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps, loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not show) as progress:
        if show:
            console.print(f"Training the toy model once; it is kept in {folder}")
        bar = progress.add_task("Training the toy", total=steps, loss=float("nan"))
        yield lambda step: progress.update(bar, completed=step.step + 1, loss=step.loss)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes; it dies with its holder."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
