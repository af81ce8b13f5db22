"""envs/multiple_choice"""
