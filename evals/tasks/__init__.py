"""One file a task: it holds `TASK = EvalTask(...)`, and its name is the task's name.

To add a task, add a file; nothing else lists them. See docs/evals.md.
"""
