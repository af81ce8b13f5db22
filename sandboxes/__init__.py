"""Run untrusted programs, safely. Knows commands, files and limits; nothing of tasks or models."""
