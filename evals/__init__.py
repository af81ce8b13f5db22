"""Evaluation: tasks with their published protocols, a runner, statistics, reports, `cascade-eval`.

A task is data, an environment and a protocol, declared once in a file of `cascade.evals.tasks`. The
runner asks an engine, found by name; nothing here imports torch or the trainer.
"""
