"""LiveCodeBench Pro, first quarter of 2025, easy."""

from cascade.evals.pro import pro_task
from cascade.evals.published import CASCADE2_CODE
from cascade.evals.task import Published

TASK = pro_task(
    "25q1", "easy", (Published("Nemotron-Cascade-2-30B-A3B", 88.1, "avg@8", CASCADE2_CODE, 8),)
)
