"""Programming: the environment ``cascade/Code-v0``, its task sets and its tool."""
