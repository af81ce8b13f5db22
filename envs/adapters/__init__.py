"""Environments for other people's trainers. Each module imports its trainer when it is called."""
