"""The scenarios of `make verify-emulated`: what they cover, and that their check can fail."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from stages.common import arithmetic
from tests.emulation import comparison, processors
from tests.emulation.__main__ import LIST
from tests.emulation.comparison import Result
from tests.emulation.trace import Trace
from tests.imports import ROOT, of_stages

VERIFY = "verify them with `python -m tests.emulation --update`"
TESTS_ONLY = {"put_member", "partition"}  # functions that no stage calls


@pytest.fixture(scope="module")
def result() -> Result:
    """What all scenarios gave on this processor."""
    return processors.run(processors.NATIVE, ["--lines"])


def test_the_operations_of_the_stages_are_those_verified_on_other_processors(result):
    ran, verified = set(comparison.operations(result)), set(LIST.read_text().split())
    assert len(verified) > 100
    assert not ran - verified, f"not verified: {sorted(ran - verified)}; {VERIFY}"
    assert not verified - ran, f"not used any more: {sorted(verified - ran)}; {VERIFY}"


def test_backward_operations_are_seen(result):
    seen = {name.split(".")[1] for name in comparison.operations(result)}
    for name in ("gelu", "elu", "silu", "softplus", "sigmoid", "tanh"):
        assert {name, f"{name}_backward"} <= seen
    assert {"threshold_backward", "_log_softmax", "nll_loss2d_forward", "scatter_add_"} <= seen


def test_every_line_that_names_torch_runs_in_a_scenario(result):
    found = [(path, *place) for path in of_stages() for place in naming_torch(path)]
    assert len(found) > 80
    missed = [
        f"{path}, line {first}"
        for path, first, last in found
        if not set(range(first, last + 1)) & set(result.lines.get(path, ()))
    ]
    assert not missed


def naming_torch(path: str) -> Iterator[tuple[int, int]]:
    """Yield first and last line of each statement in a function that names torch.

    Of a compound statement it is the head; errors are left out, and what another device does.
    """
    tree = ast.parse((ROOT / path).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        alias.asname or alias.name
        for node in imports
        for alias in node.names
        if getattr(node, "module", alias.name).startswith("torch") and alias.name != "Tensor"
    }
    elsewhere = {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("not left.is_cpu")
        for line in range(node.lineno + 1, (node.body[-1].end_lineno or 0) + 1)
    }
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    for function in functions:
        for node in ast.walk(function) if function.name not in TESTS_ONLY else ():
            if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.Raise):
                body = getattr(node, "body", None)
                last = max(node.lineno, body[0].lineno - 1 if body else node.end_lineno or 0)
                used = {
                    part.id
                    for part in ast.walk(node)
                    if isinstance(part, ast.Name) and part.lineno <= last
                }
                if used & names and node.lineno not in elsewhere:
                    yield node.lineno, last


def test_with_another_portable_setting_other_bytes_are_found(result):
    if arithmetic.machine_doubt():
        pytest.skip("portable bytes are not promised on this processor")
    changed = processors.run(
        processors.NATIVE, ["--only=creatures", "--with=OPENBLAS_CORETYPE=Sandybridge"]
    )
    same = Result(
        result.processor,
        {step: result.outputs[step] for step in changed.outputs},
        {step: result.calls[step] for step in changed.outputs},
    )
    lines, equal = comparison.report(same, {"other": changed})
    assert not equal
    assert ("creatures train", "data/models/base.pt") in comparison.differing(same, changed)
    first = next(line for line in lines if line.startswith("other: "))
    assert "first aten.add_.Tensor, call " in first
    assert first.endswith(" in creatures train: other bytes")


def test_the_trace_changes_no_output(result):
    plain = processors.run(processors.NATIVE, ["--only=line", "--only=halves", "--untraced"])
    assert len(plain.outputs) > 10
    assert not any(plain.calls.values())
    assert plain.outputs == {step: result.outputs[step] for step in plain.outputs}


def small(*calls: str, md5: str = "0") -> Result:
    return Result("some processor", {"line train": {"base.pt": md5}}, {"line train": [*calls]})


def test_the_same_results_are_reported_as_such():
    reference = small("aten.add.Tensor 1", "aten.t.default")
    lines, same = comparison.report(reference, {"Haswell": replace(reference)})
    assert same
    assert lines[1].split() == ["line", "train", "cfcd2084", "same"]
    assert lines[-2] == "2 operations compared in 2 calls"
    assert lines[-1] == "1 of 1 outputs the same bytes on native (some processor), Haswell"


def test_another_output_is_found_and_counted():
    lines, same = comparison.report(small(), {"Haswell": small(), "EPYC": small(md5="1")})
    assert not same
    assert lines[1].endswith("same            1 of 1 differ")
    assert lines[-1].startswith("0 of 1 outputs the same bytes")


@pytest.mark.parametrize(
    ("calls", "shown"),
    [
        (["aten.mul 1", "aten.exp 3", "aten.exp 4"], "1 operations differ, first aten.exp, call 2"),
        (["aten.mul 1", "aten.log 2", "aten.exp 5"], "call 2 of 3 in line train: aten.log in its"),
        (["aten.mul 1", "aten.exp 2"], "aten.exp, call 3 of 3 in line train: nothing in its place"),
        (["aten.mul 1", "aten.exp 2", "aten.exp 4", "aten.log 5"], "nothing, call 4 of 3 in line"),
    ],
)
def test_the_first_other_operation_is_named(calls, shown):
    reference = small("aten.mul 1", "aten.exp 2", "aten.exp 4")
    lines, same = comparison.report(reference, {"Haswell": small(*calls)})
    assert not same
    assert shown in lines[-2]


def test_a_digest_tells_one_bit_and_leaves_out_what_memory_held():
    digests = []
    for last in (1.0, 1.0 + 2**-23):
        trace = Trace()
        with trace:
            torch.empty(3).view(-1)
            torch.full((2,), last).add(0)
        digests.append(trace.calls)
    assert [call.split()[0] for call in digests[0]] == [
        "aten.empty.memory_format",
        "aten.view.default",
        "aten.full.default",
        "aten.add.Tensor",
    ]
    assert digests[0][:2] == digests[1][:2] == ["aten.empty.memory_format", "aten.view.default"]
    assert digests[0][2] != digests[1][2]
    assert digests[0][3] != digests[1][3]


def test_without_an_emulator_the_package_is_named():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.emulation"],
        cwd=ROOT,
        env=os.environ | {"PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "Debian package qemu-user" in ended.stderr
