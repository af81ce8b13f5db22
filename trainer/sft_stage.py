"""Supervised fine-tuning as a stage of a recipe."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cascade.envs.mini import Kind, mini_task, solution
from cascade.envs.rollout import derive_seed
from cascade.errors import DataError
from cascade.trainer.recipe import Context, StageRun
from cascade.trainer.sft import Example, SftConfig, SftUpdates, encode_conversations
from cascade.types import Conversation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["ConversationFile", "Examples", "MiniSolutions", "SftStage"]


class Examples(Protocol):
    """Where the examples of fine-tuning come from."""

    def load(self, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
        """Return the examples; the same ones in the same order each time."""
        ...


@dataclass(frozen=True, slots=True)
class ConversationFile:
    """A JSONL file of conversations: each line has ``messages`` in the OpenAI form."""

    path: str

    def load(self, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
        """Read the file; each assistant turn becomes an example.

        Raises:
            DataError: it cannot be read, or a line has no messages.
        """
        conversations: list[Conversation] = []
        try:
            with Path(self.path).open(encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    conversations.append(_messages_of(line, f"{self.path}, line {number}"))
        except OSError as error:
            raise DataError(f"cannot read {self.path}: {error.strerror}") from error
        return encode_conversations(tokenizer, conversations)


def _messages_of(line: str, where: str) -> Conversation:
    try:
        messages = json.loads(line)["messages"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{where}: not a JSON object with the field 'messages'") from error
    if not (isinstance(messages, list) and messages):
        raise DataError(f"{where}: 'messages' must be a list of messages, got {messages!r}")
    return messages


@dataclass(frozen=True, slots=True)
class MiniSolutions:
    """Solved mini tasks of the train split."""

    kind: Kind = "arithmetic"
    difficulty: int = 1
    count: int = 1000
    """Tasks; problems may occur more than once."""
    seed: int = 0

    def load(self, tokenizer: PreTrainedTokenizerBase) -> list[Example]:
        """Generate tasks and their solutions."""
        tasks = [
            mini_task(self.kind, self.seed, i, self.difficulty, split="train")
            for i in range(self.count)
        ]
        conversations: list[Conversation] = [
            (*task.messages, {"role": "assistant", "content": solution(task)}) for task in tasks
        ]
        return encode_conversations(tokenizer, conversations)


@dataclass(frozen=True, slots=True, kw_only=True)
class SftStage(SftConfig):
    """Fine-tuning on conversations; its settings are those of `SftConfig`."""

    name: str = "sft"
    """Of the stage, for ``--set``."""
    data: Examples = field(default_factory=MiniSolutions)
    """What is learned."""

    def open(self, context: Context) -> StageRun:
        """Load the examples and start."""
        examples = self.data.load(context.tokenizer)
        config = replace(self, seed=derive_seed(context.seed, self.seed))
        pad = _pad_id(context.tokenizer)
        return _SftRun(
            SftUpdates(context.model, examples, config, pad_token_id=pad, ranks=context.ranks)
        )


def _pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The padding token, or any other: padding carries no loss."""
    return int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0)


class _SftRun:
    """Implements `StageRun`."""

    def __init__(self, updates: SftUpdates) -> None:
        self._updates = updates

    async def step(self, index: int) -> Mapping[str, float]:
        began = time.perf_counter()
        done = self._updates.step()
        return {
            "loss": done.loss,
            "grad_norm": done.grad_norm,
            "learning_rate": done.learning_rate,
            "tokens_per_second": done.num_loss_tokens / (time.perf_counter() - began),
        }

    def state(self) -> dict[str, Any]:
        return self._updates.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        self._updates.load_state(state)

    def saved(self) -> None:
        pass

    async def aclose(self) -> None:
        self._updates.model.eval()
