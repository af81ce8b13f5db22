"""The part that runs inside the sandbox: standard library only, sent over at every start.

The modules here import nothing of Cascade but one another, since a container holds only Python.
"""
