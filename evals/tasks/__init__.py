"""evals/tasks"""
