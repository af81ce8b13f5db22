"""Training on this machine: supervised fine-tuning, the toy model, and the local engines.

torch, transformers and vLLM are imported only by what needs them, when it is called.
"""
