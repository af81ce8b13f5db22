"""What a vLLM server's workers learn for training: reload from a folder, show their blocks.

Start the server with ``--worker-extension-cls cascade.trainer.engines.vllm_worker.WorkerExtension``
and ``VLLM_SERVER_DEV_MODE=1``; the methods are then called through its route ``/collective_rpc``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["WorkerExtension", "forget_expert_kernels"]


def forget_expert_kernels(model: Any) -> None:
    """Make vLLM rebuild the kernels of its experts when it next processes loaded weights.

    vLLM 0.32 on the CPU packs expert weights when it first loads them and keeps that copy through
    a reload.
    """
    for module in model.modules():
        method: Any = getattr(module, "quant_method", None)
        if getattr(method, "moe_kernel", None) is not None:
            method.moe_kernel = None


class WorkerExtension:
    """Mixed into vLLM's worker class, so `self` is a worker. Arguments come by HTTP, as text."""

    def cascade_reload(self, folder: str, rebuild_experts: str = "yes") -> str:
        """Load the weights that transformers saved in `folder`."""
        worker: Any = self
        if rebuild_experts == "yes":
            forget_expert_kernels(worker.get_model())
        worker.reload_weights(weights_path=folder)
        return "reloaded"

    def cascade_record(self) -> str:
        """Record what blocks get and give at the next forward pass."""
        from cascade.trainer.sync import recorded_blocks

        worker: Any = self
        worker.cascade_records, worker.cascade_stop = recorded_blocks(worker.get_model())
        return "recording"

    def cascade_blocks(self, path: str) -> str:
        """Stop recording, and save the records of the first worker into a file."""
        import torch

        worker: Any = self
        worker.cascade_stop()
        if getattr(worker, "rank", 0) == 0:
            torch.save({name: tuple(r) for name, r in worker.cascade_records.items()}, path)
        return "saved"
