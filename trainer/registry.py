"""The registry of a cascade: its checkpoints, what each scored, and which one teaches which domain.

A teacher is found by the name of its domain and held to its checksum, never to a position in a
list: two folders that change places are noticed. The registry is one JSON file beside the
checkpoints and is replaced whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError, DataError, UnknownNameError
from cascade.trainer.scores import Score

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Entry", "Registry", "check_same_tokenizer", "weights_digest"]

_FORMAT = "cascade.registry/1"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One checkpoint."""

    name: str
    """The stage that it is the end of, or the name that a recipe gives to an outside teacher."""
    folder: str
    """Where its weights and tokenizer are, relative to the registry's folder or absolute."""
    weights_sha256: str
    """See `weights_digest`."""
    scores: Mapping[str, Score] = field(default_factory=dict)
    """Held-out score by domain."""
    teaches: tuple[str, ...] = ()
    """Domains that an outside teacher is declared for; checkpoints of the run earn theirs."""


@dataclass(frozen=True)
class Registry:
    """Entries by name. Immutable: `with_entry` returns a new one, `save` writes it.

    Raises:
        ConfigError: two entries of one name.
    """

    folder: Path
    """Relative folders of entries start here."""
    entries: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that mean two checkpoints."""
        names = [entry.name for entry in self.entries]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise ConfigError(f"the registry has two checkpoints named {double!r}")

    @classmethod
    def load(cls, path: Path) -> Registry:
        """Read the file; one that is not there is an empty registry.

        Raises:
            DataError: it is not a registry.
        """
        if not path.exists():
            return cls(path.parent)
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            if held["format"] != _FORMAT:
                raise DataError(
                    f"{path} has format {held['format']!r}, this version reads {_FORMAT}"
                )
            return cls(path.parent, tuple(_entry(row) for row in held["entries"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is not a registry of checkpoints: {error!r}") from error

    def save(self, path: Path) -> None:
        """Write the file whole, or leave the old one."""
        rows = [asdict(entry) for entry in self.entries]
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"format": _FORMAT, "entries": rows}, indent=1), encoding="utf-8")
        os.replace(new, path)

    def get(self, name: str) -> Entry:
        """Return the entry called `name`.

        Raises:
            UnknownNameError: there is none.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise UnknownNameError.near(
            "checkpoint of the registry", name, [entry.name for entry in self.entries]
        )

    def with_entry(self, entry: Entry) -> Registry:
        """Return the registry with `entry` added, in place of one of its name."""
        kept = [old for old in self.entries if old.name != entry.name]
        return replace(self, entries=(*kept, entry))

    def folder_of(self, entry: Entry) -> Path:
        """Return the folder of its weights."""
        return self.folder / entry.folder

    def best(self, domain: str) -> Entry:
        """Return the checkpoint with the best held-out score in `domain`; of equals, the first.

        Raises:
            ConfigError: no checkpoint was evaluated on it (an empty registry has none).
        """
        scored = [entry for entry in self.entries if domain in entry.scores]
        if not scored:
            known = sorted({name for entry in self.entries for name in entry.scores})
            raise ConfigError(
                f"no checkpoint has a held-out score for domain {domain!r}, so none can teach it; "
                f"the registry has scores for: {', '.join(known) or 'nothing, it is empty'}"
            )
        return max(scored, key=lambda entry: entry.scores[domain].mean)

    def teachers(self) -> dict[str, Entry]:
        """Return the best checkpoint of each domain that was evaluated."""
        domains = dict.fromkeys(name for entry in self.entries for name in entry.scores)
        return {domain: self.best(domain) for domain in domains}

    def bind(self, domain: str, name: str | None = None) -> Entry:
        """Return the teacher of `domain`: the best checkpoint, or the one called `name`.

        A named one must be declared for the domain, or no other checkpoint may be clearly better
        there: a teacher of the wrong domain teaches mistakes.

        Raises:
            UnknownNameError: no checkpoint called `name`.
            ConfigError: it does not teach this domain, or there is none.
        """
        if name is None:
            return self.best(domain)
        entry = self.get(name)
        if domain in entry.teaches:
            return entry
        if domain not in entry.scores:
            known = sorted({*entry.scores, *entry.teaches})
            raise ConfigError(
                f"teacher {name!r} is bound to domain {domain!r}, but was neither evaluated on it "
                f"nor declared for it; it is known for: {', '.join(known) or 'nothing'}"
            )
        best = self.best(domain)
        if entry.scores[domain].clearly_below(best.scores[domain]):
            raise ConfigError(
                f"teacher {name!r} is bound to domain {domain!r} with a score of "
                f"{entry.scores[domain]}, but {best.name!r} has {best.scores[domain]}: bind that "
                "one, or declare the teacher for the domain"
            )
        return entry

    def check(self, entry: Entry) -> Path:
        """Return the folder of an entry after holding its weights to the checksum.

        Raises:
            ConfigError: the weights are not there, or are other ones; says whose they are.
        """
        folder = self.folder_of(entry)
        found = weights_digest(folder)
        if found == entry.weights_sha256:
            return folder
        owner = next((e.name for e in self.entries if e.weights_sha256 == found), None)
        whose = f"those of {owner!r}" if owner else "unknown to the registry"
        raise ConfigError(
            f"the weights in {folder} are {whose}, not those of {entry.name!r} "
            f"(sha256 {found[:12]}, registered {entry.weights_sha256[:12]})"
        )


def weights_digest(folder: Path) -> str:
    """Return the SHA-256 over the safetensors files of a checkpoint, by name.

    Raises:
        ConfigError: there are none.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ConfigError(f"there is no checkpoint in {folder}: no safetensors file")
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def check_same_tokenizer(
    student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, name: str
) -> None:
    """Check that a teacher reads the student's token ids as the student does.

    Raises:
        ConfigError: names the first id that means something else, or another end of message.
    """
    ours, theirs = _tokens(student), _tokens(teacher)
    for number in range(max(len(ours), len(theirs))):
        mine, other = ours.get(number), theirs.get(number)
        if mine != other:
            raise ConfigError(
                f"teacher {name!r} has another tokenizer: id {number} is {other!r} there and "
                f"{mine!r} in the student; distillation compares token by token, so they must be "
                "equal"
            )
    if student.eos_token_id != teacher.eos_token_id:
        raise ConfigError(
            f"teacher {name!r} ends messages with {teacher.eos_token!r}, the student with "
            f"{student.eos_token!r}: the student would never learn to stop"
        )


def _tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    return {number: token for token, number in tokenizer.get_vocab().items()}


def _entry(row: Mapping[str, Any]) -> Entry:
    scores = {domain: Score(**score) for domain, score in row["scores"].items()}
    return Entry(**{**row, "scores": scores, "teaches": tuple(row["teaches"])})
