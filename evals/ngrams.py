"""Words and the hashes of their n-grams, for many megabytes of text a second in numpy.

Texts become words: lower case, cut at everything that is no letter or digit; in scripts that are
written without spaces a character is a word. Every text is followed by a separator, so that no
n-gram spans two of them. All hashes are modulo 2^64 and only find candidates: whoever uses them
compares the words.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "SEPARATOR",
    "Words",
    "gram_hashes",
    "normalised",
    "normalised_bytes",
    "normalised_jsonl",
    "words_of",
]

Hashes = npt.NDArray[np.uint64]
SEPARATOR = b"\x01"
_SPACE = 32
_TABLE = bytes(
    code + 32 if 65 <= code <= 90
    else code if code >= 128 or 48 <= code <= 57 or 97 <= code <= 122 or code == 1
    else _SPACE
    for code in range(256)
)  # fmt: skip
_LINE_TABLE = _TABLE[:10] + SEPARATOR + _TABLE[11:]
_NO_LETTER = re.compile(r"[\W_]+")
_OWN_WORD = re.compile("([\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_MASKS = np.array([(1 << 8 * n) - 1 for n in range(9)], dtype=np.uint64)
_FIRST, _LAST, _MIX = (
    np.uint64(k) for k in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93)
)
_BASE = 0x5851F42D4C957F2D
_INVERSE = pow(_BASE, -1, 1 << 64)


def normalised(texts: Sequence[str]) -> bytes:
    """Return the words of the texts in UTF-8, cut by spaces, each text with its separator."""
    joined = " \x01 ".join(texts)
    if joined.count("\x01") >= len(texts):  # inside a text it would be taken for the text's end
        joined = " \x01 ".join(text.replace("\x01", " ") for text in texts)
    return normalised_bytes(f" {joined} \x01 ".encode("utf-8", "replace"))


def normalised_bytes(raw: bytes) -> bytes:
    """Return the words of texts in UTF-8 that have their separators already."""
    return (raw if raw.isascii() else _without_beyond_ascii(raw)).translate(_TABLE)


def normalised_jsonl(lines: bytes) -> bytes:
    """Return the words of whole JSONL lines, each line a text, without building their objects.

    Everything in a line counts, names of fields too; the n-grams within a string are those that
    decoding it would give. Several times faster than `json.loads`.
    """
    # Separators beside each other would be one word: a blank line has to count as a text.
    raw = lines.replace(b"\n", b" \n ") if b"\n\n" in lines else lines
    raw = raw if raw.isascii() else _without_beyond_ascii(raw)
    codes = np.frombuffer(raw, np.uint8)
    slashes = np.flatnonzero(codes == ord("\\"))
    if len(slashes):
        # In a run of backslashes every other one begins an escape.
        place = np.arange(len(slashes))
        fresh = np.ones(len(slashes), bool)
        fresh[1:] = np.diff(slashes) != 1
        begins = slashes[(place - np.maximum.accumulate(np.where(fresh, place, 0))) % 2 == 0]
        coded = codes[begins + 1] == ord("u")
        plain = codes.copy()
        plain[begins] = _SPACE
        plain[begins[~coded] + 1] = _SPACE
        raw = _replaced(plain.tobytes(), begins[coded], 6, _unescaped)
    return raw.translate(_LINE_TABLE)


@lru_cache(maxsize=100_000)
def _unescaped(run: bytes) -> bytes:
    """Normalise a run of ``uXXXX`` whose backslashes have become spaces."""
    try:
        text: str = json.loads(b'"' + run.replace(b" ", b"\\") + b'"')
    except ValueError:
        return b" "
    return _normal(text)


def _without_beyond_ascii(raw: bytes) -> bytes:
    return _replaced(raw, np.flatnonzero(np.frombuffer(raw, np.uint8) >= 128), 1, _plain)


def _replaced(
    raw: bytes, places: npt.NDArray[np.intp], width: int, replace: Callable[[bytes], bytes]
) -> bytes:
    """Replace every run of neighbouring items of `width` bytes that begin at `places`."""
    if not len(places):
        return raw
    cuts = np.flatnonzero(np.diff(places) > width)
    starts = [int(places[0]), *places[cuts + 1].tolist()]
    ends = [*(places[cuts] + width).tolist(), int(places[-1]) + width]
    pieces: list[bytes] = []
    last = 0
    for start, end in zip(starts, ends, strict=True):
        pieces += (raw[last:start], replace(raw[start:end]))
        last = end
    return b"".join([*pieces, raw[last:]])


@lru_cache(maxsize=100_000)
def _plain(run: bytes) -> bytes:
    return _normal(run.decode("utf-8", "replace"))


def _normal(text: str) -> bytes:
    """Normalise characters beyond ASCII: NFKC, lower case, punctuation to spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _OWN_WORD.sub(r" \1 ", _NO_LETTER.sub(" ", folded)).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of some texts.

    Attributes:
        text: what `normalised` returned, padded.
        starts: [W] position of the first byte of each word; separators are words.
        ends: [W] position after its last byte.
        hashes: [W] of the words.
    """

    text: bytes
    starts: npt.NDArray[np.intp]
    ends: npt.NDArray[np.intp]
    hashes: Hashes

    def between(self, first: int, last: int) -> list[bytes]:
        """Return the words number `first` to `last` - 1."""
        return self.text[self.starts[first] : self.ends[last - 1]].split()

    def separators(self) -> npt.NDArray[np.intp]:
        """Return the numbers of the words that end a text."""
        codes = np.frombuffer(self.text, np.uint8)[self.starts]
        return np.flatnonzero(codes == SEPARATOR[0])


def words_of(text: bytes) -> Words:
    """Cut normalised text into words and hash each.

    A word's hash depends on its first eight bytes, its last eight and its length.
    """
    padded = b" " + text + b" " * 8
    codes = np.frombuffer(padded, np.uint8)
    space = codes == _SPACE
    edges = np.flatnonzero(space[1:] != space[:-1]) + 1
    starts, ends = edges[0::2], edges[1::2]
    lengths = ends - starts
    eights = np.lib.stride_tricks.sliding_window_view(codes, 8)
    first = _as_numbers(eights, starts) & _MASKS[np.minimum(lengths, 8)]
    hashes = first * _FIRST + lengths.astype(np.uint64)
    long = np.flatnonzero(lengths > 8)
    hashes[long] ^= _as_numbers(eights, ends[long] - 8) * _LAST
    hashes ^= hashes >> np.uint64(29)
    hashes *= _MIX
    return Words(padded, starts, ends, hashes)


def _as_numbers(eights: Any, places: npt.NDArray[np.intp]) -> Hashes:
    rows: Hashes = np.ascontiguousarray(eights[places]).view("<u8")[:, 0]
    return rows


def gram_hashes(hashes: Hashes, n: int) -> Hashes:
    """Return [W - n + 1] hashes of n consecutive words, from one running sum over the words."""
    count = len(hashes)
    if count < n:
        return np.empty(0, np.uint64)
    powers, inverses = _powers(1 << max(10, count.bit_length()))
    sums = np.empty(count + 1, np.uint64)
    sums[0] = 0
    np.cumsum(hashes * powers[:count], out=sums[1:])
    grams: Hashes = (sums[n:] - sums[:-n]) * inverses[: count - n + 1]
    grams ^= grams >> np.uint64(32)
    grams *= _FIRST
    return grams


@lru_cache(maxsize=2)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return base^i and base^-i modulo 2^64 for i below `count`."""
    return _geometric(_BASE, count), _geometric(_INVERSE, count)


def _geometric(base: int, count: int) -> Hashes:
    powers = np.ones(count, np.uint64)
    sizes = [1]
    while sizes[-1] < count:
        sizes.append(min(count, 2 * sizes[-1]))
    for known, wanted in pairwise(sizes):
        step = np.uint64(pow(base, known, 1 << 64))
        powers[known:wanted] = powers[: wanted - known] * step
    return powers
