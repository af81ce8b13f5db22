"""What the local engines share: prompts to token ids, sampled ids to text, and seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.envs.engines.templates import load_template, parsed_tool_calls, template_digest
from cascade.errors import ConfigError
from cascade.types import Prompt, SamplingParams

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["EncodedPrompt", "PromptCodec", "cut_at_stop", "request_seed"]

_OPENED_REASONING = re.compile(r"<think>\s*\Z")
_TAIL_TOKENS = 8


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt as the model gets it."""

    token_ids: tuple[int, ...]
    opened: str
    """``<think>`` and the white space behind it, if the prompt ends inside a reasoning block.

    The model's own text goes on from there, so a completion starts with it to be whole.
    """


@dataclass(frozen=True, slots=True)
class PromptCodec:
    """Encodes prompts and decodes samples of one model."""

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    """Prompt and completion together, in tokens."""
    end_ids: frozenset[int]
    """Token ids that end a message."""

    @classmethod
    def of(
        cls,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        end_ids: frozenset[int],
        chat_template: str | None = None,
    ) -> PromptCodec:
        """Build one; `chat_template` is a name or path, None keeps the tokenizer's own."""
        if chat_template is not None:
            tokenizer.chat_template = load_template(chat_template)
        return cls(tokenizer, max_length, end_ids)

    @property
    def template_sha256(self) -> str | None:
        """Digest of the chat template in use."""
        template = self.tokenizer.chat_template
        return template_digest(template) if isinstance(template, str) else None

    def encode(self, prompt: Prompt, params: SamplingParams) -> EncodedPrompt:
        """Tokenize a conversation (through the chat template), raw text, or nothing (ids).

        Raises:
            ConfigError: no chat template, an id outside the vocabulary, or no room for even one
                token behind the prompt.
        """
        if isinstance(prompt, str):
            ids, text = self._tokens(prompt), prompt
        elif prompt and isinstance(prompt[0], Mapping):
            text = self.render(prompt, params)
            ids = self._tokens(text)
        else:
            ids = self._checked(prompt)
            text = self.decode(ids[-_TAIL_TOKENS:])
        if not 0 < len(ids) < self.max_length:
            raise ConfigError(
                f"a prompt must have 1 to {self.max_length - 1} tokens to leave room for an "
                f"answer, got {len(ids)}: shorten it, or raise the model's maximal length "
                f"({self.max_length})"
            )
        opened = _OPENED_REASONING.search(text)
        return EncodedPrompt(ids, opened.group() if opened else "")

    def render(self, messages: Sequence[Any], params: SamplingParams) -> str:
        """Apply the chat template, up to and including the generation prefix."""
        if not self.tokenizer.chat_template:
            raise ConfigError(
                f"the tokenizer of {self.tokenizer.name_or_path!r} has no chat template: pass "
                "chat_template=NAME or PATH.jinja, or a text prompt"
            )
        arguments = dict(params.extra.get("chat_template_kwargs", {}))
        if params.thinking is not None:
            arguments["enable_thinking"] = params.thinking
        return str(
            self.tokenizer.apply_chat_template(
                parsed_tool_calls(messages),
                tools=params.extra.get("tools"),
                tokenize=False,
                add_generation_prompt=True,
                **arguments,
            )
        )

    def decode(self, token_ids: Sequence[int]) -> str:
        """Turn ids into text, special tokens included."""
        return str(self.tokenizer.decode(list(token_ids), skip_special_tokens=False))

    def completion_text(
        self, prompt: EncodedPrompt, token_ids: Sequence[int], stop: Sequence[str]
    ) -> str:
        """Text of a sample: what the prompt opened, then the ids without their end token."""
        ended = bool(token_ids) and token_ids[-1] in self.end_ids
        text = self.decode(token_ids[:-1] if ended else token_ids)
        return prompt.opened + cut_at_stop(text, stop)

    def hits_stop(self, token_ids: Sequence[int], stop: Sequence[str]) -> bool:
        """Whether the newest tokens complete a stop string (each character is at most 4 tokens)."""
        if not stop:
            return False
        tail = 4 * max(map(len, stop)) + _TAIL_TOKENS
        text = self.decode(token_ids[-tail:])
        return any(s in text for s in stop)

    def _tokens(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _checked(self, prompt: Sequence[Any]) -> tuple[int, ...]:
        size = len(self.tokenizer)
        for token in prompt:
            if not (isinstance(token, int) and 0 <= token < size):
                raise ConfigError(
                    f"a prompt must be messages, text or token ids from 0 to {size - 1}, "
                    f"got {token!r} in it"
                )
        return tuple(prompt)


def cut_at_stop(text: str, stop: Sequence[str]) -> str:
    """Cut the text before the first stop string in it."""
    found = [at for s in stop if (at := text.find(s)) >= 0]
    return text[: min(found)] if found else text


def request_seed(seed: int | None, index: int) -> int | None:
    """Seed of the prompt at `index` of one `sample` call; equal prompts must not be twins."""
    if seed is None or index == 0:
        return seed
    return int(np.random.SeedSequence([seed & (2**64 - 1), index]).generate_state(1)[0])
