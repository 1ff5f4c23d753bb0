"""The md5 of files and folders as DVC records it.

DVC itself trusts the time and size of a file that it has hashed before; here every byte is
read. `.dvcignore` is not: an ignored file in a recorded folder would count.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def md5(path: Path) -> str:
    """Return the md5 that DVC records for a file or a folder; empty when there is none."""
    if path.is_dir():
        rows = [{"md5": value, "relpath": name} for name, value in listing(path).items()]
        return hashlib.md5(json.dumps(rows, sort_keys=True).encode()).hexdigest() + ".dir"
    if not path.is_file():
        return ""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def listing(folder: Path) -> dict[str, str]:
    """Return the md5 of every file in a folder and the folders in it, sorted by name."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return dict(sorted((path.relative_to(folder).as_posix(), md5(path)) for path in found))
