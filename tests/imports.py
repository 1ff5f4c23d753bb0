"""Which project files a module imports, directly or through others, read from its source."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
STAGES = ("preprocess", "train", "finetune", "evaluate", "search", "predict")


def of_stages() -> list[str]:
    """Return the project files that the stages and `predict` read, sorted."""
    return sorted(set().union(*(closure(f"stages/{stage}.py") for stage in STAGES)))


def closure(path: str) -> set[str]:
    """Return the project files that importing and running `path` reads, `path` among them."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += _imported(current)
    return found


def _imported(path: str) -> list[str]:
    files = [str(parent / "__init__.py") for parent in Path(path).parents if parent.name]
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            module = Path(*name.split("."))
            files += [f"{module}.py", str(module / "__init__.py")]
    return [file for file in files if (ROOT / file).is_file()]
