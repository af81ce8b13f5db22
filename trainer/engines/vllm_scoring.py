"""Scores samples with vLLM: exact log-probabilities of given tokens at each position.

For teachers too large for the trainer's own processes: a vLLM engine holds them, and vLLM's
`prompt_logprob_token_ids` (0.32, per row) returns the log-probabilities of the sampled token and of
the student's candidates, whatever the teacher's own likeliest tokens are. It needs vLLM's second
model runner (the environment variable VLLM_USE_V2_MODEL_RUNNER=1).

Shapes: T tokens of a sample, C candidates of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import EngineError
from cascade.trainer.samples import Sample

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["VllmScorer"]


class VllmScorer:
    """Scores under the model of a `vllm.LLM`; the calls are those of `cascade.trainer.scorer`."""

    def __init__(self, llm: Any) -> None:
        """Take an open engine; its `max_logprobs` must be at least C + 1."""
        self.llm = llm

    def logprobs(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """Return the log-probabilities [T] of each sample, in nats; 0 where not sampled.

        Raises:
            EngineError: vLLM returned no scores.
        """
        none = [np.empty((len(sample.token_ids), 0), dtype=np.int64) for sample in samples]
        return [scores[:, 0] for scores in self._scores(samples, none)]

    def candidate_logprobs(
        self, samples: Sequence[Sample], candidate_ids: Sequence[IntArray]
    ) -> list[FloatArray]:
        """Return the log-probabilities [T, C] of the candidates of each sample, in nats.

        Raises:
            EngineError: vLLM returned no scores.
        """
        return [scores[:, 1:] for scores in self._scores(samples, candidate_ids)]

    def _scores(
        self, samples: Sequence[Sample], candidate_ids: Sequence[IntArray]
    ) -> list[FloatArray]:
        """Return [T, 1 + C]: the token itself, then its candidates; 0 where not sampled."""
        from vllm import SamplingParams

        prompts, params = [], []
        for sample, candidates in zip(samples, candidate_ids, strict=True):
            wanted = np.concatenate([sample.token_ids[:, None], candidates], axis=1)
            prompts.append({"prompt_token_ids": sample.token_ids.tolist()})
            # Row i scores what is predicted at position i, which is token i + 1.
            params.append(
                SamplingParams(
                    max_tokens=1, temperature=0.0, detokenize=False,
                    prompt_logprob_token_ids=wanted[1:],
                )
            )  # fmt: skip
        outputs = self.llm.generate(prompts, params, use_tqdm=False)
        results = []
        for sample, output in zip(samples, outputs, strict=True):
            rows = output.prompt_token_id_logprobs
            if rows is None:
                raise EngineError(
                    f"vLLM returned no scores for a sample of task {sample.task_id!r}: is "
                    "VLLM_USE_V2_MODEL_RUNNER=1 set?"
                )
            scores = np.zeros((len(sample.token_ids), rows.shape[1]), dtype=np.float32)
            scores[1:] = rows
            results.append(scores * sample.sampled[:, None])
        return results
