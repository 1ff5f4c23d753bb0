"""The audit of one table: what is printed, kept and counted, and when the stage stops."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages.common import audit, dataset, duplicates, inspection, params
from stages.common.errors import UserError
from stages.common.evidence import Finding
from stages.common.inspection import HEADER, Inspector
from stages.common.settings import Preprocess
from tests.imports import ROOT

ROWS = 120
NAMES = ("size", "weight", "same", "kind")
CSV = "data/raw/t.csv"
OUTPUTS = ("data/tensors", "metrics")


def text(rows: int = ROWS, shift: float = 0.0) -> str:
    """Return a table with a constant column; the first row is there twice."""
    lines = [",".join(NAMES)]
    for n in range(rows):
        n = 0 if n == 1 else n
        lines.append(f"{n * 37 % 101 / 4 + shift},{n * 53 % 97 / 8},7,{'ab'[n * 29 % 31 % 2]}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with the settings, the graph and two tables."""
    monkeypatch.chdir(tmp_path)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    Path("data/raw").mkdir(parents=True)
    Path(CSV).write_text(text())
    Path("data/raw/u.csv").write_text(text(80, 0.5))
    return Path(tmp_path)


def settings(policy: str) -> Preprocess:
    chosen = params.load(ROOT / "params.yaml").preprocess.model_dump()
    chosen |= {"csv": CSV, "features": "0:-1", "target": "kind", "audit": policy}
    return Preprocess.model_validate(chosen)


def inspector(policy: str, name: str = "source") -> Inspector:
    """Return an inspector that has seen all rows of the first or second table."""
    chosen = settings(policy)
    made = dataset.read(chosen, Path("spool"))
    if name == "target":
        second = dataset.read_second(chosen, "data/raw/u.csv", made.schema, Path("spool"))
        assert second is not None
        made = second
    found = Inspector(name, made, policy)
    for rows in made.rows():
        found.add(rows)
    return found


def test_warn_prints_a_line_per_finding_and_returns_them(folder, capsys):
    found = inspector("warn")
    capsys.readouterr()
    assert found.inspect() is found
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{CSV}: {each.line}" for each in found.findings]
    assert [each.check for each in found.findings] == ["constant", "duplicates"]
    assert lines[0] == (
        f"{CSV}: column 'same': has the same value in all rows; leave it out of preprocess.features"
    )
    assert lines[1].startswith(f"{CSV}: 1 rows repeat the features of an earlier row exactly; ")


def test_the_findings_are_those_of_the_columns_and_then_of_the_rows(folder):
    found = inspector("warn").inspect()
    spool, parts = found.table.spool, found.table.parts
    features = [spool.column(name) for name in NAMES[:3]]
    columns = audit.examine(features, [], spool.column("kind").as_texts(), parts)
    (rows,) = list(found.table.rows())
    near = duplicates.near_hashes(rows.features)
    alike = duplicates.findings(duplicates.row_hashes(rows.features), near, rows.target, rows.part)
    assert found.findings == [*columns, *alike]


def test_dates_are_looked_at_as_days_and_long_numbers_as_numbers(folder):
    header, *lines = text().splitlines()
    when = [
        f"2024-{n % 12 + 1:02d}-{n % 28 + 1:02d} {n % 23:02d}:{n % 59:02d}" for n in range(ROWS)
    ]
    rows = [f"{when[n]},{n * 31 % 127}.5e30,{line}" for n, line in enumerate(lines)]
    Path(CSV).write_text("\n".join([f"when,far,{header}", *rows]) + "\n")
    found = inspector("warn").inspect()
    assert "id" not in [each.check for each in found.findings]


def test_stop_raises_a_line_with_the_first_finding_and_prints_nothing(folder, capsys):
    found = inspector("stop")
    capsys.readouterr()
    with pytest.raises(UserError) as caught:
        found.inspect()
    assert str(caught.value) == (
        f"{CSV}: column 'same': has the same value in all rows; leave it out of "
        "preprocess.features, or set preprocess.audit to warn (and 1 more findings)"
    )
    assert capsys.readouterr().out == ""


def test_stop_goes_on_when_nothing_is_found(folder, capsys):
    clean = [line.replace(",7,", ",") for line in text().splitlines()]
    Path(CSV).write_text("\n".join([clean[0].replace("same,", ""), *clean[2:]]) + "\n")
    found = inspector("stop")
    capsys.readouterr()
    assert found.inspect().findings == []
    assert capsys.readouterr().out == ""


def test_off_examines_nothing(folder, capsys, monkeypatch):
    for module, name in ((audit, "examine"), (duplicates, "findings"), (duplicates, "row_hashes")):
        monkeypatch.setattr(module, name, None)  # a call would fail
    found = inspector("off")
    capsys.readouterr()
    assert found.inspect().findings == []
    assert found._seen == []
    assert capsys.readouterr().out == ""
    assert "audit_findings" not in inspection.figures([found])


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (Finding("drift", "a", 0.5, "found", "mend"), "column 'a': found; mend"),
        (
            Finding("tiny classes", "y", 2, "2 with few", "merge"),
            "classes of 'y': 2 with few; merge",
        ),
        (Finding("class missing", "y", 1, "1 gone", "merge"), "classes of 'y': 1 gone; merge"),
        (Finding("duplicates", "", 0.1, "1 rows", "drop"), "1 rows; drop"),
    ],
)
def test_a_line_names_the_place_of_a_finding(finding, line):
    assert finding.line == line


def test_figures_and_rows_of_both_tables(folder):
    both = [inspector("warn").inspect(), inspector("warn", "target").inspect()]
    assert inspection.figures(both) == {
        "rows_train": 96,
        "rows_val": 12,
        "rows_test": 12,
        "classes": 2,
        "audit_findings": 2,
        "features": 2,
        "columns_dropped": 1,
        "second_rows_train": 64,
        "second_rows_val": 8,
        "second_rows_test": 8,
        "second_classes": 2,
        "second_audit_findings": 1,  # a column that the first table drops is no feature
    }
    rows = list(inspection.rows(both))
    assert [row[:3] for row in rows] == [
        ("source", "constant", "same"),
        ("source", "duplicates", ""),
        ("target", "duplicates", ""),
    ]
    assert all(len(row) == len(HEADER) for row in rows)
    first = both[0].findings[0]
    assert rows[0][3:] == (first.strength, first.message, first.remedy)


@pytest.mark.parametrize(("most", "step"), [(1000, 1), (120, 1), (119, 2), (60, 2), (50, 3)])
def test_columns_are_examined_in_an_evenly_spaced_sample(folder, monkeypatch, most, step):
    seen = []

    def examine(features, aside, target, parts):
        seen.append((features, target, parts))
        return []

    found = inspector("warn")
    monkeypatch.setattr(inspection, "MOST_EXAMINED", most)
    monkeypatch.setattr(audit, "RUN", 1)
    monkeypatch.setattr(audit, "examine", examine)
    found.inspect()
    ((features, target, parts),) = seen
    table = found.table
    assert [each.name for each in features] == ["size", "weight", "same"]
    assert features[0].values.tolist() == table.spool.column("size").values[::step].tolist()
    assert parts.tolist() == table.parts[::step].tolist()
    assert len(target) == len(parts) <= most
    assert target.texts is not None


def test_groups_of_rows_that_stand_together_are_seen_in_a_sample(folder, monkeypatch):
    monkeypatch.setattr(inspection, "MOST_EXAMINED", 700)
    random = np.random.default_rng(0)
    kinds = random.choice(["a", "b"], 1400)
    lines = [f"{random.normal():.4f},p{n // 5},7,{kinds[n // 5]}" for n in range(7000)]
    Path(CSV).write_text("\n".join([",".join(NAMES), *lines]) + "\n")
    found = inspector("warn").inspect()
    (group,) = [each for each in found.findings if each.column == "weight"]
    assert group.check == "group overlap"
    assert group.message.startswith("140 values of about 5.0 rows; ")


def test_rows_without_a_target_are_not_examined(folder, monkeypatch):
    lines = text().splitlines()
    lines[5:25] = [line[:-1] for line in lines[5:25]]  # no target
    Path(CSV).write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(inspection, "MOST_EXAMINED", 50)
    monkeypatch.setattr(audit, "RUN", 1)
    sizes = []

    def examine(features, aside, target, parts):
        sizes.append(len(target))
        return []

    monkeypatch.setattr(audit, "examine", examine)
    inspector("warn").inspect()
    assert sizes == [50]


def run_stage(folder: Path, policy: str) -> subprocess.CompletedProcess[str]:
    """Run the stage preprocess with both tables."""
    source = (ROOT / "params.yaml").read_text()
    chosen = {"csv": CSV, "features": "0:-1", "target": "kind", "audit": policy}
    source = params.edit(source, "preprocess", chosen)
    source = params.edit(source, "finetune", {"csv": "data/raw/u.csv"})
    (folder / "params.yaml").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "stages.preprocess"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def outputs(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in OUTPUTS
        for path in sorted((folder / name).rglob("*"))
        if path.is_file()
    }


def test_the_policy_changes_no_byte_of_schema_and_tensors_and_stop_no_output(folder):
    (folder / "requirements.txt").write_bytes((ROOT / "requirements.txt").read_bytes())
    (folder / "stages").symlink_to(ROOT / "stages")
    warned = run_stage(folder, "warn")
    assert (warned.returncode, warned.stderr) == (0, "")
    kept = outputs(folder)
    with open(folder / "metrics" / "audit.csv", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert tuple(header) == HEADER
    assert [row[:2] for row in rows] == [
        ["source", "constant"],
        ["source", "duplicates"],
        ["target", "duplicates"],
    ]
    found = [line for line in warned.stdout.splitlines() if "; leave it out" in line]
    assert found == [f"{CSV}: column 'same': {rows[0][4]}; {rows[0][5]}"]

    stopped = run_stage(folder, "stop")
    assert stopped.returncode == 2
    assert stopped.stderr.startswith(f"error: {CSV}: column 'same': has the same value")
    assert stopped.stderr.count("\n") == 1
    assert outputs(folder) == kept

    off = run_stage(folder, "off")
    assert (off.returncode, off.stderr) == (0, "")
    quiet = outputs(folder)
    tensors = [name for name in kept if name.startswith("data/tensors")]
    assert len(tensors) == 7
    assert {name: quiet[name] for name in tensors} == {name: kept[name] for name in tensors}
    assert quiet["metrics/audit.csv"].decode().splitlines() == [",".join(HEADER)]
    assert b"audit_findings" not in quiet["metrics/preprocess.json"]
