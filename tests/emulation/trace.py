"""Every ATen operation that runs, backward ones too, with a digest of the bytes it gave."""

from __future__ import annotations

import ctypes
import hashlib
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# Memory as it was found is no result, neither new memory nor another view of it.
WITHOUT_RESULT = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "set_"}


class Trace(TorchDispatchMode):
    """While it is entered, notes each operation: its name and, unless it is a view, a digest."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and importing the compiler takes long

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        name, computes = _known(func)
        self.calls.append(f"{name} {_digest(returned)}" if computes else name)
        return returned


@cache
def _known(func: Any) -> tuple[str, bool]:
    """Return the name of an operation and whether it computes what it returns."""
    return str(func), not func.is_view and func.overloadpacket.__name__ not in WITHOUT_RESULT


def _digest(returned: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for value in returned if isinstance(returned, tuple | list) else (returned,):
        if not isinstance(value, torch.Tensor):
            digest.update(repr(value).encode())
        elif value.numel() and not value.is_meta:
            # In torch's own tools this is `.numpy()`, which takes ten times as long here.
            value = value.contiguous()
            digest.update(ctypes.string_at(value.data_ptr(), value.nbytes))
    return digest.hexdigest()
