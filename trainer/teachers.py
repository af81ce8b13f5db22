"""The teachers of a distillation: one per domain, each distinct one loaded once, one on the device.

Teachers share a seat: the model on the device whose weights are swapped. A batch is scored teacher
by teacher, beginning with the one that has the seat, so that t distinct teachers cost at most t - 1
swaps a step when their samples come every time. Router replay is off: a teacher's experts are its
own.

Shapes: T tokens of a sample, C candidates of a token.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade.errors import ConfigError
from cascade.trainer.registry import Entry, Registry, check_same_tokenizer
from cascade.trainer.samples import Sample

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from transformers import PreTrainedTokenizerBase

    from cascade.trainer.distributed import Ranks
    from cascade.trainer.scorer import Scorer

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["TeacherSettings", "Teachers"]


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """How teachers run."""

    dtype: str = "float32"
    """Data type of their weights."""
    device: str = "cpu"
    """Where the seat is; weights that wait are in the machine's memory."""
    micro_batch_tokens: int = 16_384
    """Most tokens of one forward pass, padding included."""
    offload: bool = False
    """Leave the device after each batch: the update gets the memory of a whole model, and each
    teacher of the next batch travels anew."""


class Teachers:
    """Scores samples under the teacher of their domain."""

    def __init__(
        self,
        bindings: Mapping[str, str | None],
        registry: Registry,
        tokenizer: PreTrainedTokenizerBase,
        settings: TeacherSettings,
        *,
        temperature: float = 1.0,
        ranks: Ranks | None = None,
    ) -> None:
        """Find, check and load the teachers.

        Args:
            bindings: domain -> name of its teacher in the registry; None: the best checkpoint.
            registry: where they are found.
            tokenizer: the student's.
            settings: how they run.
            temperature: of the sampling distribution.
            ranks: each holds all teachers, unsharded, and scores its share of the samples.

        Raises:
            ConfigError: no teachers; one that is missing, has other weights than registered, does
                not teach its domain, or reads token ids in another way.
        """
        if not bindings:
            raise ConfigError("distillation needs a teacher for each domain, got none")
        self.entries = {name: registry.bind(name, teacher) for name, teacher in bindings.items()}
        self._settings, self._temperature, self._ranks = settings, temperature, ranks
        self.swaps = 0
        """How often the weights on the device were changed."""
        self.seconds = 0.0
        """Time spent scoring, swaps included."""
        self._weights: dict[str, _Weights] = {}
        self._seats: dict[str, _Seat] = {}
        for entry in self.entries.values():
            if entry.weights_sha256 not in self._weights:
                folder = registry.check(entry)
                _check_tokenizer(folder, tokenizer, entry)
                self._load(folder, entry)

    @property
    def num_loaded(self) -> int:
        """Distinct teachers: those with equal weights are one."""
        return len(self._weights)

    def logprobs(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """Return the log-probabilities [T] of the sampled tokens under each one's teacher, nats.

        Raises:
            ConfigError: a sample's domain has no teacher.
        """
        return self._scored(samples, lambda scorer, part, _: scorer.logprobs(part))

    def candidate_logprobs(
        self, samples: Sequence[Sample], candidate_ids: Sequence[IntArray]
    ) -> list[FloatArray]:
        """Return the log-probabilities [T, C] of the candidates under each one's teacher, nats.

        Raises:
            ConfigError: a sample's domain has no teacher.
        """
        return self._scored(
            samples,
            lambda scorer, part, indices: scorer.candidate_logprobs(
                part, [candidate_ids[i] for i in indices]
            ),
        )

    def teacher_of(self, sample: Sample) -> Entry:
        """Return the teacher of a sample's domain.

        Raises:
            ConfigError: there is none.
        """
        entry = self.entries.get(sample.domain)
        if entry is None:
            raise ConfigError(
                f"a sample of task {sample.task_id!r} has the domain {sample.domain!r}, which has "
                f"no teacher; teachers are bound to: {', '.join(sorted(self.entries))}"
            )
        return entry

    def _scored(self, samples: Sequence[Sample], score: Any) -> list[FloatArray]:
        began = time.perf_counter()
        of_teacher: dict[str, list[int]] = {}
        for i, sample in enumerate(samples):
            of_teacher.setdefault(self.teacher_of(sample).weights_sha256, []).append(i)
        seated = {seat.holds for seat in self._seats.values()}
        results: dict[int, FloatArray] = {}
        for digest in sorted(of_teacher, key=lambda digest: (digest not in seated, digest)):
            indices = of_teacher[digest]
            scorer = self._seated(digest)
            found = score(scorer, [samples[i] for i in indices], indices)
            results.update(zip(indices, found, strict=True))
        if self._settings.offload:
            for seat in self._seats.values():
                seat.leave()
        self.seconds += time.perf_counter() - began
        return [results[i] for i in range(len(samples))]

    def _seated(self, digest: str) -> Scorer:
        """Return the scorer with these weights on the device."""
        weights = self._weights[digest]
        seat = self._seats[weights.architecture]
        if seat.holds != digest:
            seat.take(digest, weights.tensors, self._settings.device)
            self.swaps += 1
        return seat.scorer

    def _load(self, folder: Path, entry: Entry) -> None:
        from cascade.trainer.checkpoint import load_weights
        from cascade.trainer.scorer import Scorer

        settings = self._settings
        model: Any = load_weights(folder, dtype=settings.dtype, device="cpu")
        architecture = model.config.to_json_string()
        self._weights[entry.weights_sha256] = _Weights(architecture, dict(model.state_dict()))
        if architecture not in self._seats:
            scorer = Scorer(
                model.to(settings.device).requires_grad_(False),
                micro_batch_tokens=settings.micro_batch_tokens,
                temperature=self._temperature,
                replay=False,
                ranks=self._ranks,
            )
            self._seats[architecture] = _Seat(scorer, entry.weights_sha256)


@dataclass(frozen=True, slots=True)
class _Weights:
    """The weights of one distinct teacher, in the machine's memory."""

    architecture: str
    tensors: Mapping[str, torch.Tensor]


@dataclass(slots=True)
class _Seat:
    """A model on the device, and whose weights are in it."""

    scorer: Scorer
    holds: str
    """Digest of the weights; empty: none."""

    def take(self, digest: str, tensors: Mapping[str, torch.Tensor], device: str) -> None:
        """Seat a teacher. On the CPU it shares the stored tensors, which nothing changes."""
        for name, tensor in self._tensors():
            tensor.data = tensors[name].to(device)
        self.holds = digest

    def leave(self) -> None:
        """Give the memory of the weights back."""
        for _, tensor in self._tensors():
            tensor.data = tensor.data.new_empty(0)
        self.holds = ""

    def _tensors(self) -> Iterable[tuple[str, torch.Tensor]]:
        model: torch.nn.Module = self.scorer.net.model
        tensors: Mapping[str, torch.Tensor] = model.state_dict(keep_vars=True)
        return tensors.items()


def _check_tokenizer(folder: Path, student: PreTrainedTokenizerBase, entry: Entry) -> None:
    from cascade.trainer.models import load_tokenizer

    check_same_tokenizer(student, load_tokenizer(str(folder)), entry.name)
