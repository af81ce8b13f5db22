"""LiveCodeBench Pro, second quarter of 2025, easy."""

from cascade.evals.pro import pro_task
from cascade.evals.published import cascade2

TASK = pro_task("25q2", "easy", cascade2("avg@8", 8, (87.0, 54.5, 81.7, 81.1), (1, 2, 3)))
