"""arithmetic: the environment that makes bytes portable, the order of imports, the device."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from unittest import mock

import pytest
import torch

from stages.common import arithmetic
from stages.common.errors import UserError
from tests.imports import ROOT

PORTABLE = {
    "OPENBLAS_CORETYPE": "Haswell",
    "MKL_CBWR": "COMPATIBLE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
SHOWN = [*PORTABLE, "OMP_NUM_THREADS"]
FLAGS = "flags\t\t: fpu sse2 {}\n"
SHOW = f"import os; print({{name: os.environ.get(name) for name in {SHOWN}}})"


def run(code: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process without the settings of this one; return it finished."""
    ours = {*PORTABLE, "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
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


def test_importing_stages_and_reading_the_settings_imports_neither_torch_nor_numpy():
    code = (
        "import sys, stages.common.launch; from stages.common import params; params.load();"
        "print({'torch', 'numpy'} & {*sys.modules})"
    )
    assert output(code) == "set()"


def test_fast_removes_the_portable_settings_before_torch_comes():
    code = (
        f"import stages; from stages.common import arithmetic; arithmetic.prepare('fast'); {SHOW}"
    )
    shown = output(code)
    assert shown == str(dict.fromkeys(PORTABLE) | {"OMP_NUM_THREADS": "1"})


@pytest.mark.parametrize(
    ("content", "portable"),
    [
        ("processor\t: 0\n" + FLAGS.format("avx2 fma"), "Haswell"),
        (FLAGS.format("avx fma") + FLAGS.format("avx2 fma"), None),
        (FLAGS.format("avx2"), None),
        ("processor\t: 0\nFeatures\t: fp asimd\n", None),
        ("", None),
        (None, None),
    ],
)
def test_openblas_is_told_nothing_that_the_processor_cannot_do(
    content, portable, tmp_path, monkeypatch
):
    """It would use instructions that are not there, which ends the process."""
    path = tmp_path / "cpuinfo"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(arithmetic, "CPUINFO", path)
    monkeypatch.setattr(arithmetic, "LIBRARIES", ())
    with mock.patch.dict(os.environ, {"OPENBLAS_CORETYPE": "Zen"}):
        arithmetic.prepare("portable")
        assert os.environ.get("OPENBLAS_CORETYPE") == portable
        assert arithmetic.current() == "portable"
        arithmetic.check("portable")  # nothing is missing that this processor can have
        del os.environ["MKL_CBWR"]
        assert arithmetic.current() == "fast"
        arithmetic.prepare("fast")
        assert "OPENBLAS_CORETYPE" not in os.environ


@pytest.mark.parametrize("package", ["torch", "numpy"])
def test_what_computes_is_pinned_alike_in_both_files(package):
    pin = re.compile(rf"^\W*({package}==[\d.]+)", re.MULTILINE)
    files = [(ROOT / name).read_text() for name in ("pyproject.toml", "requirements.txt")]
    ours, pinned = (pin.findall(text) for text in files)
    assert ours == pinned
    assert len(ours) == 1


def test_another_way_of_summing_is_said_at_every_stage_and_changes_no_setting():
    said = output(
        "import os, stages; os.environ['OPENBLAS_CORETYPE'] = 'Nehalem'; import numpy;"
        "os.environ['OPENBLAS_CORETYPE'] = 'Haswell'; from stages.common import arithmetic;"
        "arithmetic.check('portable'); arithmetic.check('portable')"
    )
    first, second = said.splitlines()
    assert first == second
    assert first.startswith("arithmetic: NumPy's products are rounded in another way: other bytes")


@pytest.mark.parametrize(("core", "same"), [("Haswell", True), ("Zen", True), ("Nehalem", False)])
def test_a_numpy_that_sums_in_another_way_is_noticed(core, same):
    """As another build of NumPy would, or a setting that is changed behind our back."""
    said = output(
        f"import os, stages; os.environ['OPENBLAS_CORETYPE'] = {core!r};"
        "from stages.common import arithmetic; print(arithmetic.doubt('portable', 'cpu'))"
    )
    assert said == ("" if same else "NumPy's products are rounded in another way")


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
    assert last.startswith("RuntimeError: torch or numpy was imported before")
    assert all(name in last for name in PORTABLE)
    assert "import stages first" in last


def test_numpy_before_stages_is_refused_for_portable_bytes():
    refused = run(
        "import numpy, stages; from stages.common import arithmetic; arithmetic.check('portable')"
    )
    assert refused.returncode == 1
    assert "RuntimeError: torch or numpy was imported before" in refused.stderr


@pytest.mark.parametrize("name", [*PORTABLE, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
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
    found, said, monkeypatch, capsys, tmp_path
):
    """ATen must not use code that the processor does not have."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    monkeypatch.setattr(arithmetic, "CPUINFO", tmp_path / "cpuinfo")
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
