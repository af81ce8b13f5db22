"""LiveCodeBench Pro, second quarter of 2025, medium."""

from cascade.evals.pro import pro_task
from cascade.evals.published import cascade2

TASK = pro_task("25q2", "medium", cascade2("avg@8", 8, (27.6, 3.5, 23.2, 17.8), (1, 2, 3)))
