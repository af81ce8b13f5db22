"""Scores samples with vLLM: exact log-probabilities of given tokens at each position.

For teachers too large for the trainer's own processes: a vLLM engine holds them. The sampled tokens
are scored as any prompt is. For candidates, vLLM's `prompt_logprob_token_ids` (0.32, one row a
position) returns the log-probabilities of the student's likeliest tokens, whatever the teacher's
own are; it needs vLLM's second model runner, which needs a GPU (VLLM_USE_V2_MODEL_RUNNER=1).

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
        """Take an open engine; for candidates its `max_logprobs` must be at least C."""
        self.llm = llm

    def logprobs(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """Return the log-probabilities [T] of each sample, in nats; 0 where not sampled."""
        from vllm import SamplingParams

        params = SamplingParams(max_tokens=1, temperature=0.0, detokenize=False, prompt_logprobs=0)
        outputs = self.llm.generate(_prompts(samples), params, use_tqdm=False)
        results = []
        for sample, output in zip(samples, outputs, strict=True):
            scores = np.zeros(len(sample.token_ids), dtype=np.float32)
            for t in np.flatnonzero(sample.sampled):
                scores[t] = output.prompt_logprobs[t][int(sample.token_ids[t])].logprob
            results.append(scores)
        return results

    def candidate_logprobs(
        self, samples: Sequence[Sample], candidate_ids: Sequence[IntArray]
    ) -> list[FloatArray]:
        """Return the log-probabilities [T, C] of the candidates of each sample, in nats.

        Raises:
            EngineError: vLLM returned no scores.
        """
        from vllm import SamplingParams

        # Row i is what is predicted at position i: token i + 1.
        params = [
            SamplingParams(
                max_tokens=1, temperature=0.0, detokenize=False, prompt_logprob_token_ids=ids[1:]
            )
            for ids in candidate_ids
        ]
        outputs = self.llm.generate(_prompts(samples), params, use_tqdm=False)
        results = []
        for sample, ids, output in zip(samples, candidate_ids, outputs, strict=True):
            rows = output.prompt_token_id_logprobs
            if rows is None:
                raise EngineError(
                    f"vLLM returned no scores for a sample of task {sample.task_id!r}: is "
                    "VLLM_USE_V2_MODEL_RUNNER=1 set?"
                )
            scores = np.zeros(ids.shape, dtype=np.float32)
            scores[1:] = rows
            results.append(scores * sample.sampled[:, None])
        return results


def _prompts(samples: Sequence[Sample]) -> list[dict[str, list[int]]]:
    return [{"prompt_token_ids": sample.token_ids.tolist()} for sample in samples]
