"""Named, independent random streams: a draw for one purpose never shifts another's."""

from __future__ import annotations

import hashlib

import torch


def stream(*key: str | int) -> torch.Generator:
    """Return the CPU generator named by a purpose and numbers, such as ("weights", seed, 3).

    Keys are hashed, so neighbouring seeds share nothing.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
