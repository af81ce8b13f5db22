"""Supervised fine-tuning: conversations to masked token rows, rows to batches, batches to weights.

Shapes: B rows of a batch, T tokens of a row, V vocabulary. `SftUpdates` alone changes anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cascade.envs.engines.templates import parsed_tool_calls
from cascade.errors import ConfigError
from cascade.trainer.optimizer import adamw, load_moments, moments
from cascade.trainer.settings import Range, check_fields
from cascade.types import Conversation

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from cascade.trainer.distributed import Ranks

__all__ = [
    "IGNORED",
    "Batch",
    "Example",
    "SftConfig",
    "SftStep",
    "SftUpdates",
    "batches_of_rows",
    "collate",
    "encode_conversations",
    "encode_pairs",
    "learning_rate",
    "pack",
    "sft_loss",
    "train_sft",
]

IGNORED = -100
"""Label of a position that carries no loss."""


@dataclass(frozen=True, slots=True)
class SftConfig:
    """How supervised fine-tuning runs."""

    steps: Annotated[int, Range(1)]
    """Number of optimizer updates."""
    row_tokens: Annotated[int, Range(1)] = 256
    """T: examples are packed into rows of this many tokens; a longer example is an error."""
    batch_rows: Annotated[int, Range(1)] = 8
    """B: rows in an update."""
    peak_learning_rate: Annotated[float, Range(0)] = 3e-3
    final_learning_rate: Annotated[float, Range(0)] = 0.0
    """Where the cosine ends."""
    warmup_steps: Annotated[int, Range(0)] = 20
    """Updates of linear warm-up before the cosine."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    weight_decay: Annotated[float, Range(0)] = 0.01
    """AdamW's decoupled decay; not applied to vectors (norms, biases)."""
    max_grad_norm: Annotated[float, Range(above=0)] = 1.0
    """Gradients are scaled down to this global norm."""
    seed: int = 0
    """Orders the examples."""

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        check_fields(self)
        if self.final_learning_rate > self.peak_learning_rate:
            raise ConfigError(
                "final_learning_rate must lie between 0 and peak_learning_rate "
                f"({self.peak_learning_rate!r}), got {self.final_learning_rate!r}"
            )


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation up to and including one assistant turn."""

    token_ids: tuple[int, ...]
    """[T] the prompt as a sampler would see it, then the assistant's tokens."""
    prompt_length: int
    """Tokens before the assistant's; the loss is on all that follow."""


class Batch(NamedTuple):
    """A packed batch; `labels_B_T[b, t]` is the token that should follow position t."""

    input_ids_B_T: torch.Tensor
    position_ids_B_T: torch.Tensor
    """Starts again from 0 at each example: transformers keeps packed examples apart by it."""
    labels_B_T: torch.Tensor


class SftStep(NamedTuple):
    """What one update reports."""

    step: int
    loss: float
    """Mean negative log-likelihood, nats per assistant token of this batch."""
    grad_norm: float
    """Global norm before clipping."""
    learning_rate: float
    num_loss_tokens: int


def encode_conversations(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation]
) -> list[Example]:
    """Turn each assistant turn of each conversation into an example.

    The loss mask follows from the chat template: an example is the very prompt that a sampler
    would be given for that turn (earlier turns as the template rewrites them), then the turn up
    to and including its end-of-message token. The two are tokenized apart, as in sampling.

    Raises:
        ConfigError: the tokenizer has no chat template or end token, or the template does not
            render a turn as its generation prefix and a text that ends with that token.
    """
    if not tokenizer.chat_template:
        raise ConfigError("the tokenizer has no chat template: set tokenizer.chat_template")
    pairs = [
        _prompt_and_turn(tokenizer, conversation[: i + 1])
        for conversation in conversations
        for i, message in enumerate(conversation)
        if message["role"] == "assistant"
    ]
    if not pairs:
        return []
    prompts, turns = (
        tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        for texts in zip(*pairs, strict=True)
    )
    return [
        Example((*prompt, *turn), len(prompt)) for prompt, turn in zip(prompts, turns, strict=True)
    ]


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[tuple[str, str]]
) -> list[Example]:
    """Turn bare texts, problem and working, into examples; the loss is on the working."""
    if not pairs:
        return []
    problems, workings = (tokenizer(list(texts))["input_ids"] for texts in zip(*pairs, strict=True))
    return [
        Example((*problem, *working), len(problem))
        for problem, working in zip(problems, workings, strict=True)
    ]


def _prompt_and_turn(
    tokenizer: PreTrainedTokenizerBase, conversation: Conversation
) -> tuple[str, str]:
    """Split the rendering of a conversation before and after its last generation prefix."""
    messages = parsed_tool_calls(conversation)
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    for thinking in (True, False):
        prompt = tokenizer.apply_chat_template(
            messages[:-1], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        end = whole.rfind(tokenizer.eos_token) + len(tokenizer.eos_token)
        if whole.startswith(prompt) and end > len(prompt):
            return prompt, whole[len(prompt) : end]
    raise ConfigError(
        "the chat template does not render this assistant turn as its generation prefix, the "
        f"text and {tokenizer.eos_token!r}: {whole[-200:]!r}"
    )


def pack(examples: Sequence[Example], row_tokens: int) -> list[list[Example]]:
    """Fill rows of at most `row_tokens` tokens, each example whole, in the order given.

    Raises:
        ConfigError: an example is longer than a row.
    """
    rows: list[list[Example]] = []
    room = 0
    for example in examples:
        length = len(example.token_ids)
        if length > row_tokens:
            raise ConfigError(
                f"an example has {length} tokens, but row_tokens is {row_tokens}: raise "
                "row_tokens, or filter the data by length"
            )
        if length > room:
            rows.append([])
            room = row_tokens
        rows[-1].append(example)
        room -= length
    return rows


def collate(rows: Sequence[Sequence[Example]], row_tokens: int, pad_token_id: int) -> Batch:
    """Lay packed rows out as tensors; padding is one more example without loss."""
    import torch

    shape = (len(rows), row_tokens)
    input_ids, positions = torch.full(shape, pad_token_id), torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED)
    for b, row in enumerate(rows):
        start = 0
        for example in row:
            ids = torch.tensor(example.token_ids)
            end = start + len(ids)
            input_ids[b, start:end] = ids
            positions[b, start:end] = torch.arange(len(ids))
            first = start + example.prompt_length
            labels[b, first - 1 : end - 1] = input_ids[b, first:end]
            start = end
        positions[b, start:] = torch.arange(row_tokens - start)
    return Batch(input_ids, positions, labels)


def batches_of_rows(
    examples: Sequence[Example], config: SftConfig
) -> Iterator[list[list[Example]]]:
    """Yield batches of packed rows for ever: each epoch is a new permutation that `seed` decides.

    Raises:
        ConfigError: an example is longer than a row.
    """
    import torch

    generator = torch.Generator().manual_seed(config.seed)
    rows: list[list[Example]] = []
    while True:
        order = torch.randperm(len(examples), generator=generator).tolist()
        rows += pack([examples[i] for i in order], config.row_tokens)
        while len(rows) >= config.batch_rows:
            yield rows[: config.batch_rows]
            rows = rows[config.batch_rows :]


def learning_rate(step: int, config: SftConfig) -> float:
    """Linear warm-up to the peak, then a cosine to `final_learning_rate`; `step` from 0."""
    if step < config.warmup_steps:
        return config.peak_learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    span = config.peak_learning_rate - config.final_learning_rate
    return config.final_learning_rate + span * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def sft_loss(model: PreTrainedModel, batch: Batch) -> tuple[torch.Tensor, int]:
    """Return the summed negative log-likelihood of the labels, in nats, and their number.

    `use_cache=False` is needed: with a cache, transformers no longer separates packed examples.
    """
    import torch

    device = model.device
    logits_B_T_V = model(
        input_ids=batch.input_ids_B_T.to(device),
        position_ids=batch.position_ids_B_T.to(device),
        use_cache=False,
    ).logits
    labels_B_T = batch.labels_B_T.to(device)
    nll = torch.nn.functional.cross_entropy(
        logits_B_T_V.flatten(0, 1).float(),
        labels_B_T.flatten(),
        ignore_index=IGNORED,
        reduction="sum",
    )
    return nll, int((labels_B_T != IGNORED).sum())


def train_sft(
    model: PreTrainedModel,
    examples: Sequence[Example],
    config: SftConfig,
    *,
    pad_token_id: int,
    on_step: Callable[[SftStep], None] = lambda step: None,
) -> None:
    """Fine-tune `model` in place.

    The same model, examples and config give the same weights to the bit on one machine with one
    number of threads; other machines differ in the last bits of each sum, and then in more.

    Raises:
        ConfigError: there are no examples, or one is too long for a row.
    """
    tuning = SftUpdates(model, examples, config, pad_token_id=pad_token_id)
    for _ in range(config.steps):
        on_step(tuning.step())
    model.eval()


class SftUpdates:
    """Fine-tuning, an update at a time; what it has done can be saved and taken up again.

    Raises:
        ConfigError: there are no examples, or one is too long for a row.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        examples: Sequence[Example],
        config: SftConfig,
        *,
        pad_token_id: int,
        ranks: Ranks | None = None,
    ) -> None:
        """Prepare `model`, which is trained in place.

        Args:
            model: a causal language model; the same weights on every rank.
            examples: what is learned.
            config: how.
            pad_token_id: fills rows.
            ranks: from `distributed.join`: the model is sharded over them, each works on its
                share of a batch's rows, and every method must be called on every rank.
        """
        from cascade.trainer.distributed import Ranks, shard

        if not examples:
            raise ConfigError("supervised fine-tuning needs at least one example, got none")
        model.train()
        self.config = config
        self.model = model
        self._ranks = ranks or Ranks()
        if self._ranks.size > 1:
            shard(model, model, self._ranks, model.dtype)
        self._pad = pad_token_id
        self._optimizer = adamw(model, betas=config.betas, weight_decay=config.weight_decay)
        self._rows = batches_of_rows(examples, config)
        self._done = 0

    def step(self) -> SftStep:
        """Do the next update."""
        import torch

        from cascade.trainer.distributed import value_of

        rate = learning_rate(self._done, self.config)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with self._ranks.phase("update"):
            loss, num_tokens = self._backward(next(self._rows))
            norm = torch.nn.utils.clip_grad_norm_(
                self.model.parameters(), self.config.max_grad_norm
            )
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        self._done += 1
        return SftStep(self._done - 1, loss, value_of(norm), rate, num_tokens)

    def _backward(self, rows: Sequence[Sequence[Example]]) -> tuple[float, int]:
        """Add the gradient of the batch's mean loss; return that loss and its tokens."""
        num_tokens = sum(len(e.token_ids) - e.prompt_length for row in rows for e in row)
        size = min(self._ranks.size, len(rows))
        parts = [rows[i::size] for i in range(size)]
        total = 0.0
        for own, counts in self._ranks.share(parts):
            nll, _ = sft_loss(self.model, collate(own, self.config.row_tokens, self._pad))
            loss = nll / num_tokens
            # FSDP2 averages over ranks.
            (loss * (self._ranks.size if counts else 0)).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach()) if counts else 0.0
        return self._ranks.sums({"loss": total})["loss"], num_tokens

    def state(self) -> dict[str, Any]:
        """Return optimizer and place in the data, for `torch.save`."""
        return {"done": self._done, "optimizer": moments(self.model, self._optimizer)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`; call it once, before the first step."""
        load_moments(self.model, self._optimizer, state["optimizer"])
        self._done = int(state["done"])
        for _ in range(self._done):  # rows are lists of examples: skipping costs next to nothing
            next(self._rows)
