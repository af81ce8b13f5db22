"""Text in, verdict out. Each module stands alone: `from cascade.verifiers import math`.

Importing this package loads none of them; no verifier needs an environment, a server or torch.
"""
