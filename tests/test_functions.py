"""Arithmetic that the trace of torch does not see is listed, with a reason to trust it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.imports import ROOT, of_stages

LIST = ROOT / "tests" / "emulation" / "functions.txt"
LIBRARIES = {"cmath", "decimal", "fractions", "math", "numpy", "pandas", "random", "statistics"}
COLUMNS = {"numpy", "pandas"}
# of arrays and columns: what computes a number from others
METHODS = re.compile(
    "abs|astype|corr|cov|cumprod|cumsum|describe|diff|dot|ewm|idxmax|idxmin|interpolate|kurt|max|"
    "mean|median|min|pct_change|prod|quantile|rank|rolling|round|sem|skew|std|sum|var"
)


def functions(path: str, text: str) -> set[str]:
    """Return what the text of a module uses, named as in the list."""
    nodes = list(ast.walk(ast.parse(text)))
    libraries = dict(imported(nodes))
    used = {node.id for node in nodes if isinstance(node, ast.Name)} & libraries.keys()
    found = {libraries[name] for name in used if libraries[name] not in LIBRARIES}
    inner = {node.value for node in nodes if isinstance(node, ast.Attribute)}
    columns = {name.split(".")[0] for name in libraries.values()} & COLUMNS
    for node in nodes:
        if isinstance(node, ast.Attribute):
            first, *others = dotted(node).split(".")
            if first not in libraries and columns and METHODS.fullmatch(node.attr):
                found.add(f".{node.attr}")
            elif first in libraries and node not in inner:
                found.add(".".join([libraries[first], *others]))
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            found.add(f"** in {path}")
        elif isinstance(node, ast.Name) and node.id in ("sum", "pow"):
            found.add(f"{node.id} in {path}")
    return found


def imported(nodes: list[ast.AST]) -> Iterator[tuple[str, str]]:
    """Yield name in the module and full name of what is imported from LIBRARIES."""
    for node in nodes:
        if isinstance(node, ast.Import):
            named = [(alias, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [(alias, f"{node.module}.{alias.name}") for alias in node.names]
        else:
            continue
        for alias, full in named:
            if full.split(".")[0] in LIBRARIES:
                yield alias.asname or alias.name, full


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` of such an expression; an empty first part when it is none."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_every_function_of_the_stages_is_listed_with_a_reason_and_no_other():
    lines = [line for line in LIST.read_text().splitlines() if line and line[0] != "#"]
    listed = dict(line.split("  ", 1) for line in lines)
    assert len(listed) == len(lines)
    assert all(listed.values())
    used = set().union(*(functions(path, (ROOT / path).read_text()) for path in of_stages()))
    assert used - listed.keys() == set(), f"see {LIST.name}: is it the same on any processor?"
    assert listed.keys() - used == set()


def test_no_order_is_left_to_an_instruction_set():
    """NumPy's quick argsort orders ties, and QEMU even unequal numbers, as the processor likes."""
    calls = [
        node
        for path in of_stages()
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.Call) and dotted(node.func).startswith("np.")
    ]
    sorts = [call for call in calls if dotted(call.func) == "np.argsort"]
    assert sorts
    for call in sorts:
        assert {(word.arg, getattr(word.value, "value", "")) for word in call.keywords} == {
            ("kind", "stable")
        }
    words = {word.arg for call in calls for word in call.keywords}
    assert not words & {"return_inverse", "return_index"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import math\nmath.exp(1)", {"math.exp"}),
        ("from math import exp as e\ne(1)", {"math.exp"}),
        ("import numpy as np\nnp.linalg.norm(a).item()", {"numpy.linalg.norm"}),
        ("import pandas as pd\nframe['a'].values.std()", {".std"}),
        ("import pandas as pd\npd.concat(x).mean()", {"pandas.concat", ".mean"}),
        ("import torch\ntorch.ones(3).mean()", set()),
        ("def f():\n    import random\n    return random.random()", {"random.random"}),
        ("2.5 ** x", {"** in a.py"}),
        ("sum(x) + pow(2.5, y)", {"sum in a.py", "pow in a.py"}),
        ("import numpy as np\na.x + np", set()),
    ],
)
def test_functions_are_found(text, expected):
    assert functions("a.py", text) == expected
