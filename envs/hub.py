"""The hub of models and data sets: whether it can be reached, found out once and not by waiting."""

from __future__ import annotations

__all__ = ["is_away"]

_PROBE_SECONDS = 5.0


def is_away() -> bool:
    """Ask whether the hub cannot be reached, and if so tell its client.

    The client would ask again and again, for half a minute. What it has in its cache it finds all
    the same.
    """
    import httpx
    from huggingface_hub import constants

    if not constants.HF_HUB_OFFLINE:
        try:
            httpx.head(constants.ENDPOINT, timeout=_PROBE_SECONDS)
        except httpx.TransportError:
            constants.HF_HUB_OFFLINE = True
    return bool(constants.HF_HUB_OFFLINE)
