"""Runs a causal language model over samples and reads off what it thought of the sampled tokens.

Shapes: B rows, T tokens of a row or sample, N sampled tokens of a micro-batch, D hidden size, C
candidates of a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from cascade.errors import ConfigError
from cascade.trainer.batch import MicroBatch, column, micro_batches
from cascade.trainer.logprobs import TokenLogprobs, likeliest, token_logprobs
from cascade.trainer.moe import find_routers
from cascade.trainer.packing import packing_is_exact
from cascade.trainer.replay import RouterTaps
from cascade.trainer.samples import Sample

if TYPE_CHECKING:
    import numpy.typing as npt
    from transformers import PreTrainedModel

    FloatArray = npt.NDArray[np.float32]
    IntArray = npt.NDArray[np.int64]

__all__ = ["LogprobModel", "Scorer"]


class LogprobModel(nn.Module):
    """A causal language model whose forward pass ends in log-probabilities, not in logits."""

    def __init__(self, model: PreTrainedModel, temperature: float) -> None:
        """Wrap `model`, sharing its weights."""
        super().__init__()
        self.model = model
        self.temperature = temperature

    def forward(
        self,
        input_ids_B_T: torch.Tensor,
        position_ids_B_T: torch.Tensor,
        source_N: torch.Tensor,
        ids_N_K: torch.Tensor,
    ) -> TokenLogprobs:
        """Return log-probabilities of `ids_N_K` as predicted at the flat positions `source_N`."""
        hidden_B_T_D = _hidden(self.model, input_ids_B_T, position_ids_B_T)
        head = self.model.get_output_embeddings()
        return token_logprobs(
            hidden_B_T_D.flatten(0, 1).index_select(0, source_N),
            head.weight,
            ids_N_K,
            bias_V=getattr(head, "bias", None),
            temperature=self.temperature,
        )


def _hidden(
    model: PreTrainedModel, input_ids_B_T: torch.Tensor, position_ids_B_T: torch.Tensor
) -> torch.Tensor:
    hidden: torch.Tensor = model.base_model(
        input_ids=input_ids_B_T, position_ids=position_ids_B_T, use_cache=False
    ).last_hidden_state
    return hidden


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Check that the model's logits are its last hidden states times its output matrix.

    Raises:
        ConfigError: the model does more with them (soft caps, scales).
    """
    vocabulary = model.config.get_text_config().vocab_size
    ids_1_T = torch.arange(8, device=model.device)[None] * 5 % vocabulary
    positions_1_T = torch.arange(8, device=model.device)[None]
    head = model.get_output_embeddings()
    logits = model(input_ids=ids_1_T, position_ids=positions_1_T, use_cache=False).logits
    if not torch.allclose(
        head(_hidden(model, ids_1_T, positions_1_T)).float(), logits.float(), rtol=1e-2, atol=1e-3
    ):
        raise ConfigError(
            f"the logits of {type(model).__name__} are not its hidden states times its output "
            "matrix (it caps or scales them), so its log-probabilities cannot be computed in chunks"
        )


class Scorer:
    """Log-probabilities of samples under one model: of the policy, a reference or a teacher."""

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        row_tokens: int | None = None,
        micro_batch_tokens: int = 16_384,
        temperature: float = 1.0,
        replay: bool = False,
    ) -> None:
        """Test the model's head and packing, and hook into its routers.

        Args:
            model: in evaluation mode.
            row_tokens: tokens of a row; None: of the longest sample.
            micro_batch_tokens: most tokens of a forward pass, padding included.
            temperature: of the sampling distribution that the samples were drawn from.
            replay: send tokens to the experts that the sampler recorded. Leave it off for
                teachers and references: their experts are others.

        Raises:
            ConfigError: the model changes logits after its output matrix.
        """
        check_head(model)
        self.net = LogprobModel(model, temperature)
        self.device = model.device
        self.replay = replay
        self.packed = packing_is_exact(model)
        self.routers = find_routers(model)
        self.taps = RouterTaps(self.routers)
        self._row_tokens = row_tokens
        self._micro_batch_tokens = micro_batch_tokens

    def micro_batches(self, samples: Sequence[Sample]) -> list[MicroBatch]:
        """Split samples into what fits a forward pass; packed if the model keeps texts apart."""
        return micro_batches(
            samples,
            row_tokens=self._row_tokens,
            micro_batch_tokens=self._micro_batch_tokens,
            packed=self.packed,
        )

    def routed(self, micro: MicroBatch) -> Any:
        """Return the context in which a micro-batch's forward and backward passes must run."""
        routes = micro.routes_L_BT_K if self.replay else None
        return self.taps.over(
            micro.is_padding_B_T.to(self.device),
            None if routes is None else routes.to(self.device),
        )

    def run(self, micro: MicroBatch, ids_N_K: torch.Tensor | None = None) -> TokenLogprobs:
        """Run a micro-batch through the model, for its sampled tokens or for `ids_N_K`."""
        ids_N_K = micro.ids_N[:, None] if ids_N_K is None else ids_N_K
        out: TokenLogprobs = self.net(
            micro.rows.input_ids_B_T.to(self.device),
            micro.rows.position_ids_B_T.to(self.device),
            micro.source_N.to(self.device),
            ids_N_K.to(self.device),
        )
        return out

    @torch.no_grad()
    def likeliest(self, samples: Sequence[Sample], count: int) -> list[IntArray]:
        """Return the ids [T, C] of the `count` likeliest tokens at each sampled position."""
        results = [np.zeros((len(s.token_ids), count), dtype=np.int64) for s in samples]
        head = self.net.model.get_output_embeddings()
        for micro in self.micro_batches(samples):
            with self.routed(micro):
                hidden_B_T_D = _hidden(
                    self.net.model,
                    micro.rows.input_ids_B_T.to(self.device),
                    micro.rows.position_ids_B_T.to(self.device),
                )
            found = likeliest(
                hidden_B_T_D.flatten(0, 1).index_select(0, micro.source_N.to(self.device)),
                head.weight,
                count,
                bias_V=getattr(head, "bias", None),
            )
            _scatter(found.ids_N_K, micro, samples, results)
        return results

    @torch.no_grad()
    def candidate_logprobs(
        self, samples: Sequence[Sample], candidate_ids: Sequence[IntArray]
    ) -> list[FloatArray]:
        """Return the log-probabilities [T, C] of the candidates of each sample, in nats."""
        results = [np.zeros(ids.shape, dtype=np.float32) for ids in candidate_ids]
        for micro in self.micro_batches(samples):
            ids_N_C = column(micro, samples, lambda i: candidate_ids[i])
            with self.routed(micro):
                logprob_N_C = self.run(micro, ids_N_C).logprob_N_K
            _scatter(logprob_N_C.float(), micro, samples, results)
        return results

    @torch.no_grad()
    def logprobs(self, samples: Sequence[Sample]) -> list[FloatArray]:
        """Return the log-probabilities [T] of each sample, in nats; 0 where not sampled."""
        results = [np.zeros(len(sample.token_ids), dtype=np.float32) for sample in samples]
        for micro in self.micro_batches(samples):
            with self.routed(micro):
                logprob_N = self.run(micro).logprob_N_K[:, 0]
            _scatter(logprob_N.float(), micro, samples, results)
        return results


def _scatter(
    value_N: torch.Tensor,
    micro: MicroBatch,
    samples: Sequence[Sample],
    results: Sequence[npt.NDArray[Any]],
) -> None:
    """Put the values of a micro-batch's sampled tokens where those stand in their samples."""
    parts = torch.split(value_N.cpu(), list(micro.count_of_sample))
    for i, part in zip(micro.indices, parts, strict=True):
        results[i][samples[i].sampled] = part.numpy()
