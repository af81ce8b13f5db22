"""The toy model's tokenizer: one token a byte, a number under 100, a sentence of mini prompts.

It is a real fast tokenizer: any text is encoded without loss, a saved folder loads in
`transformers.AutoTokenizer` and in vLLM, and its chat template is Nemotron-Cascade 2's. Numbers and
sentences are tokens only to keep texts short, which is what training in a minute needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade.envs.engines.templates import load_template
from cascade.envs.prompts import MATH_BOXED, choice_boxed

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["END_OF_MESSAGE", "PADDING", "PHRASES", "SPECIALS", "toy_tokenizer"]

PADDING = "<|pad|>"
END_OF_MESSAGE = "<|im_end|>"
SPECIALS = (PADDING, "<|im_start|>", END_OF_MESSAGE)

_CHOICE_HEAD, _CHOICE_TAIL = choice_boxed("", []).rstrip().split(". Think")

PHRASES = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
    "system\n", "user\n", "assistant\n",
    "You are a helpful and harmless assistant.\n\nYou are not allowed to use any tools.",
    MATH_BOXED.format(problem=""),
    _CHOICE_HEAD,
    f". Think{_CHOICE_TAIL}\n\n",
    "What is ", "What is the remainder when ", " is divided by ",
    "What is the greatest common divisor of ", "What is the least common multiple of ", " and ",
    "How many positive divisors does ", " have?", "What is the sum of the positive divisors of ",
    "How many positive integers up to ", " are coprime to ",
    " + ", " - ", " * ", ", ", ") ", " is ", "primes ", "\\boxed{",
    *map(str, range(10, 100)),
)  # fmt: skip
"""Texts that are one token each. Not special: decoding always keeps them."""


def toy_tokenizer(
    max_length: int = 8192, *, more_phrases: Sequence[str] = ()
) -> PreTrainedTokenizerFast:
    """Build the tokenizer: 256 bytes, then `SPECIALS`, then `PHRASES` and `more_phrases`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    phrases = dict.fromkeys((*PHRASES, *more_phrases))
    core.add_tokens([AddedToken(text, special=False, normalized=False) for text in phrases])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END_OF_MESSAGE,
        pad_token=PADDING,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = load_template("nemotron_cascade_2")
    return tokenizer
