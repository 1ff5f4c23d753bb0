"""arithmetic: the environment that makes bytes portable, the order of imports, the device."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch

from stages.common import arithmetic
from stages.common.errors import UserError
from tests.imports import ROOT

PORTABLE = {
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
SHOWN = [*PORTABLE, "OMP_NUM_THREADS"]
SHOW = f"import os; print({{name: os.environ.get(name) for name in {SHOWN}}})"


def run(code: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process without the settings of this one; return it finished."""
    ours = {*PORTABLE, "OMP_NUM_THREADS", "MKL_NUM_THREADS"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean | given, capture_output=True, text=True
    )


def output(code: str, **given: str) -> str:
    finished = run(code, **given)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


def test_importing_stages_sets_the_portable_environment_over_the_users_own():
    shown = output(f"import stages; {SHOW}", MKL_CBWR="AUTO", OMP_NUM_THREADS="7")
    assert shown == str(PORTABLE | {"OMP_NUM_THREADS": "1"})


def test_importing_stages_does_not_import_torch():
    code = "import sys, stages.common.launch; print('torch' in sys.modules)"
    assert output(code) == "False"


def test_fast_removes_the_portable_settings_before_torch_comes():
    code = (
        f"import stages; from stages.common import arithmetic; arithmetic.prepare('fast'); {SHOW}"
    )
    shown = output(code)
    assert shown == str(dict.fromkeys(PORTABLE) | {"OMP_NUM_THREADS": "1"})


def test_torch_obeys_the_portable_settings_and_nothing_is_changed_once_it_is_there():
    code = (
        "import stages, torch; from stages.common import arithmetic; arithmetic.check('portable');"
        "print(torch.get_num_threads(), torch.backends.cpu.get_cpu_capability());"
        f"arithmetic.prepare('fast'); {SHOW}"
    )
    assert output(code) == f"1 AVX2\n{PORTABLE | {'OMP_NUM_THREADS': '1'}}"


def test_torch_before_stages_is_refused_for_portable_bytes_and_welcome_for_fast():
    code = (
        f"import torch, stages; from stages.common import arithmetic; {SHOW};"
        "arithmetic.check('fast'); print('welcome'); arithmetic.check('portable')"
    )
    refused = run(code)
    unset = dict.fromkeys(SHOWN)
    assert (refused.returncode, refused.stdout) == (1, f"{unset}\nwelcome\n")
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: torch was imported before")
    assert all(name in last for name in PORTABLE)
    assert "import stages before torch" in last


@pytest.mark.parametrize("name", [*PORTABLE, "OMP_NUM_THREADS"])
def test_every_single_portable_setting_is_checked(name, monkeypatch):
    monkeypatch.setenv(name, "other")
    with pytest.raises(RuntimeError, match=name):
        arithmetic.check("portable")


@pytest.mark.parametrize(
    ("name", "mode", "gpu", "expected"),
    [
        ("auto", "portable", True, "cpu"),
        ("auto", "portable", False, "cpu"),
        ("auto", "fast", True, "cuda"),
        ("auto", "fast", False, "cpu"),
        ("cpu", "portable", True, "cpu"),
        ("cpu", "fast", True, "cpu"),
        ("cuda", "fast", True, "cuda"),
        ("cuda", "portable", True, "cuda"),
    ],
)
def test_auto_takes_the_gpu_only_for_fast_arithmetic(
    name, mode, gpu, expected, monkeypatch, capsys
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert arithmetic.device(name, mode) == torch.device(expected)
    warned = "the same bytes" in capsys.readouterr().out
    assert warned == (expected == "cuda" and mode == "portable")


def test_a_gpu_that_is_not_there_is_the_users_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"device is cuda, but torch finds no GPU.*to auto"):
        arithmetic.device("cuda", "fast")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"architecture": "x86_64", "avx2": False, "cpu_name": "Old"}, r"\(Old\) has no AVX2"),
        ({"architecture": "aarch64"}, "is aarch64, not x86-64"),
    ],
)
def test_a_processor_that_cannot_give_the_bytes_is_named_and_still_runs(
    found, said, monkeypatch, capsys
):
    """ATen must not use code that the processor does not have."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    arithmetic.check("fast")
    assert capsys.readouterr().out == ""
    arithmetic.check("portable")
    assert re.fullmatch(rf"arithmetic: .*{said}: .*\n", capsys.readouterr().out)
    assert os.environ["ATEN_CPU_CAPABILITY"] == "default"
    assert re.search(said, arithmetic.doubt("portable", "cpu"))


@pytest.mark.parametrize(
    ("mode", "device", "reason"),
    [
        ("portable", "auto", ""),
        ("portable", "cuda", "device is cuda"),
        ("fast", "cpu", "arithmetic is fast"),
    ],
)
def test_the_reason_why_bytes_are_not_promised(mode, device, reason, monkeypatch):
    found = {"architecture": "x86_64", "avx2": True, "cpu_name": "New"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert arithmetic.doubt(mode, device) == reason
