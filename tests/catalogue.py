"""The catalogue of user errors: an example of each, and the line that it prints.

`python -m tests.catalogue` writes docs/errors.md from it; the tests run every example.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
import ray
import torch

from stages.common import dataset, files, grouping, outputs
from stages.common.graph import Declared
from tests.example import NEW, SECOND, TABLE, Example, table

PAGE = Path("docs/errors.md")
SCHEMA, BASE = "data/tensors/schema.json", "data/models/base.pt"
TRAIN = "data/tensors/source/train.pt"
UNCOMMITTED = "git rm --quiet --cached dvc.lock; git commit --quiet --message -"
PARTS = ["train"] * 4 + ["val", "test"]
INTRODUCTION = """# Errors

What a user can mend is told in one line that begins with `error:`; the exit status is 2, and the
stage leaves the results of earlier runs as they are. (`dvc repro` takes them away before it starts
a stage; `git checkout metrics` and `dvc checkout` bring them back.) Each line is shown here below
what leads to it. Lines of a file are counted from 1, rows of a table from 0 below the header, as
`iloc` does. `dvc repro` prints the same as the command that is shown.

This page is written by `make errors` from `tests/catalogue.py`; the tests run every example. The
examples are changes of a project with two small tables, `data/raw/table.csv` and
`data/raw/second.csv`, and one of new rows without `kind`, `data/raw/new.csv`. A column is given by
its cells, which are repeated down the rows. The table begins

```
{table}```
"""
MANY = "[" + "0.1, " * 1001 + "]"


@contextmanager
def absent(name: str) -> Iterator[None]:
    """A package is not installed. What is imported meanwhile stays: torch is registered once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, None)
        yield


@contextmanager
def no_gpu() -> Iterator[None]:
    """on a machine without a GPU"""
    with mock.patch.object(torch.cuda, "is_available", return_value=False):
        yield


@contextmanager
def no_git() -> Iterator[None]:
    """on a machine without Git"""
    with mock.patch.dict(os.environ, {"PATH": "nowhere"}):
        yield


@contextmanager
def full_disk() -> Iterator[None]:
    """the disk is full"""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with mock.patch.object(os, "fsync", side_effect=full):
        yield


@contextmanager
def another_file() -> Iterator[None]:
    """another file comes into data/raw while the stage runs"""
    path, read = Path("data/raw/more.csv"), dataset.read

    def late(*given):
        path.write_text("a,b\n")
        return read(*given)

    with mock.patch.object(dataset, "read", late):
        yield
    path.unlink()


@contextmanager
def other_setting() -> Iterator[None]:
    """preprocess.seed is changed while the stage runs"""
    path, read = Path("params.yaml"), dataset.read
    before = path.read_text()

    def late(*given):
        path.write_text(before.replace("  seed: 0\n", "  seed: 1\n", 1))
        return read(*given)

    with mock.patch.object(dataset, "read", late):
        yield
    path.write_text(before)


@contextmanager
def newer_run() -> Iterator[None]:
    """the same stage is started once more while it runs"""
    read = dataset.read

    def late(*given):
        outputs.begin(Declared.read("preprocess"))
        return read(*given)

    with mock.patch.object(dataset, "read", late):
        yield


@contextmanager
def no_ray() -> Iterator[None]:
    """where Ray is not installed"""
    with absent("ray"):
        yield


@contextmanager
def no_optuna() -> Iterator[None]:
    """where Optuna is not installed"""
    with absent("optuna"):
        yield


@contextmanager
def no_onnx() -> Iterator[None]:
    """where onnxscript is not installed"""
    with absent("onnxscript"):
        yield


@contextmanager
def lost_cluster() -> Iterator[None]:
    """the cluster breaks down while the search runs"""
    lost = ray.exceptions.RaySystemError("the head node is gone")
    with (
        mock.patch.object(socket, "create_connection"),
        mock.patch.object(ray, "init"),
        mock.patch.object(ray, "put", side_effect=lost),
    ):
        yield


@contextmanager
def killed_worker() -> Iterator[None]:
    """a worker process is killed"""
    here, advance = os.getpid(), grouping.advance

    def die(*given):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return advance(*given)

    with mock.patch.object(grouping, "advance", die):
        yield


GROUPS: dict[str, list[Example]] = {
    "params.yaml": [
        Example(
            "a key that does not exist",
            "params.yaml, line <train.lrr>: train.lrr: unknown key; did you mean lr?",
            settings={"train.lr": "0.02\n  lrr: 0.02"},
        ),
        Example(
            "a key like no other",
            "params.yaml, line <evaluate.colour>: evaluate.colour: unknown key; valid keys are "
            "calibration_bins",
            settings={"evaluate.calibration_bins": "10\n  colour: red"},
        ),
        Example(
            "a key that is missing",
            "params.yaml, line <train.momentum>: train.momentum: this key is missing",
            settings={"train.momentum": None},
        ),
        Example(
            "text for a number",
            "params.yaml, line <train.lr>: train.lr: input should be a valid number, not '0.02'",
            settings={"train.lr": "'0.02'"},
        ),
        Example(
            "a number out of range",
            "params.yaml, line <train.lr>: train.lr: input should be less than or equal to 1, "
            "not 5",
            settings={"train.lr": "5"},
        ),
        Example(
            "a word that is not allowed",
            "params.yaml, line <train.optimizer>: train.optimizer: input should be 'sgd' or "
            "'adamw', not 'sdg'",
            settings={"train.optimizer": "sdg"},
        ),
        Example(
            "no value",
            "params.yaml, line <train.epochs>: train.epochs: input should be a valid integer, "
            "not None",
            settings={"train.epochs": ""},
        ),
        Example(
            "several mistakes",
            "params.yaml, line <train.lr>: train.lr: input should be less than or equal to 1, "
            "not 5 (and 1 more)",
            settings={"train.lr": "5", "train.epochs": "0"},
        ),
        Example(
            "shares that do not sum to 1",
            "params.yaml, line <preprocess.split>: preprocess.split: train, val and test sum to "
            "1.2, they must sum to 1",
            settings={"preprocess.split.val": "0.3"},
        ),
        Example(
            "two rules of the split",
            "params.yaml, line <preprocess.split>: preprocess.split: group and time cannot both "
            "deal the rows; empty one",
            settings={"preprocess.split.group": "colour", "preprocess.split.time": "weight"},
        ),
        Example(
            "a slice that is none",
            "params.yaml, line <preprocess.features>: preprocess.features: 'weight' is no slice "
            "such as 1:-1; for names give a list",
            settings={"preprocess.features": "weight"},
        ),
        Example(
            "a table outside data/raw",
            "params.yaml, line <preprocess.csv>: preprocess.csv: '/tmp/table.csv' is not in "
            "data/raw; copy the table there, DVC tracks that folder",
            settings={"preprocess.csv": "/tmp/table.csv"},
        ),
        Example(
            "a name that no file has",
            "params.yaml, line <preprocess.csv>: preprocess.csv: 'data/raw/a\\nb.csv': a file has "
            "a name of at most 200 printable characters; rename the table",
            settings={"preprocess.csv": '"data/raw/a\\nb.csv"'},
        ),
        Example(
            "bounds in the wrong order",
            "params.yaml, line <model>: model: init_low 0.5 must be below init_high 0.1",
            settings={"model.init_low": "0.5"},
        ),
        Example(
            "a bracket that stays open",
            "params.yaml, line <model.activation>: not valid YAML: expected ',' or ']', but got "
            "':'",
            settings={"model.hidden": "[4"},
        ),
        Example(
            "a character that YAML forbids",
            "params.yaml, line 2: not valid YAML: character #x0007 is not allowed; take it out",
            files={"params.yaml": "train:\n  lr: \a\n"},
        ),
        Example(
            "a number that is too long",
            "params.yaml: not valid YAML: Exceeds the limit (4300 digits) for integer string "
            "conversion: value has 5000 digits; restore it with `git checkout params.yaml`",
            files={"params.yaml": "train:\n  lr: " + "1" * 5000},
        ),
        Example(
            "an empty params.yaml",
            "params.yaml: empty; restore it with `git checkout params.yaml`",
            files={"params.yaml": ""},
        ),
        Example(
            "a params.yaml without sections",
            "params.yaml: has no sections such as preprocess; restore it with `git checkout "
            "params.yaml`",
            files={"params.yaml": "- 1\n- 2\n"},
        ),
        Example(
            "a params.yaml in another encoding",
            "params.yaml: not UTF-8 text; save it as UTF-8",
            files={"params.yaml": b"# Stra\xdfe\n"},
        ),
        Example(
            "no params.yaml",
            "params.yaml: not in this folder; run in the project's folder",
            shell="rm params.yaml",
        ),
        Example(
            "a folder in place of params.yaml",
            "params.yaml: a folder; restore the file with `git checkout params.yaml`",
            shell="rm params.yaml; mkdir params.yaml",
        ),
        Example(
            "a GPU that is not there",
            "params.yaml: device is cuda, but torch finds no GPU; set device to auto",
            "train",
            settings={"device": "cuda"},
            during=no_gpu,
        ),
    ],
    "Search space": [
        Example(
            "a setting that no search varies",
            "params.yaml, line <search.space.train.momentun>: search.space.train.momentun: not a "
            "setting that a search can vary; did you mean momentum?",
            settings={"search.space.train.lr": "[0.1]\n      momentun: [0.9]"},
        ),
        Example(
            "a range in a grid",
            "params.yaml, line <search.space.train.lr>: search.space.train.lr: a grid needs a "
            "list of values, not a range; or set search.method to random",
            settings={"search.method": "grid"},
        ),
        Example(
            "a value out of range",
            "params.yaml, line <search.space.train.lr>: search.space.train.lr: 5 is not valid "
            "there: input should be less than or equal to 1",
            settings={"search.space.train.lr": "[0.1, 5]"},
        ),
        Example(
            "values that do not fit together",
            "params.yaml, line <search.space.model>: search.space.model: init_high 0, init_low 1 "
            "is not valid there: init_low 1 must be below init_high 0",
            settings={"search.space.model": "{init_low: [-1, 1], init_high: [0, 2]}"},
        ),
        Example(
            "a range from high to low",
            "params.yaml, line <search.space.train.lr>: search.space.train.lr: low 0.1 must be "
            "below high 0.01",
            settings={"search.space.train.lr": "{low: 0.1, high: 0.01, scale: log}"},
        ),
        Example(
            "a log scale from 0",
            "params.yaml, line <search.space.train.lr>: search.space.train.lr: a log scale needs "
            "low above 0, not 0",
            settings={"search.space.train.lr": "{low: 0, high: 0.1, scale: log}"},
        ),
        Example(
            "a range without a whole number",
            "params.yaml, line <search.space.train.lr>: search.space.train.lr: no whole number "
            "lies between 0.1 and 0.2",
            settings={"search.space.train.lr": "{low: 0.1, high: 0.2, scale: integer}"},
        ),
        Example(
            "a grid of too many points",
            "search.space: a grid of 1002001 points, more than 1000000; give fewer values or set "
            "search.method to random",
            "search",
            settings={
                "search.method": "grid",
                "search.space.model": f"{{dropout: {MANY}, negative_slope: {MANY}}}",
                "search.space.train": "{}",
            },
        ),
        Example(
            "a trial that is not valid",
            "search.space: init_low 0 must be below init_high -1; no trial may have "
            "model.init_high -1, model.init_low 0: mend the values there",
            "search",
            settings={
                "model.init": "uniform",
                "search.trials": "9",
                "search.space.model": f"{{init_high: [1, -1], init_low: [{'0, ' * 4100}]}}",
                "search.space.train": "{}",
            },
        ),
    ],
    "Search": [
        Example(
            "Ray is not there",
            "search.engine is ray, but Ray is not installed; run: python -m pip install '.[ray]', "
            "or set search.engine to local",
            "search",
            settings={"search.engine": "ray"},
            during=no_ray,
        ),
        Example(
            "no cluster answers",
            "search.address 127.0.0.1:1: no Ray cluster answers; start one with `ray start "
            "--head`, or set search.engine to local",
            "search",
            settings={"search.engine": "ray", "search.address": "127.0.0.1:1"},
        ),
        Example(
            "a cluster that breaks down",
            "the Ray cluster failed: System error: the head node is gone; run the same command "
            "again",
            "search",
            settings={"search.engine": "ray", "search.address": "127.0.0.1:1"},
            during=lost_cluster,
        ),
        Example(
            "Optuna is not there",
            "search.method is tpe, but Optuna is not installed; run: python -m pip install "
            "'.[optuna]', or set search.method to sobol",
            "search",
            settings={"search.method": "tpe"},
            during=no_optuna,
        ),
        Example(
            "a worker process that is killed",
            "a worker process was killed, perhaps for lack of memory; run the same command again, "
            "or set search.workers to 1",
            "search",
            settings={
                "search.method": "grid",
                "search.workers": "2",
                "search.space.model": "{hidden: [[4], [5]]}",
                "search.space.train": "{}",
            },
            during=killed_worker,
        ),
    ],
    "CSV file": [
        Example(
            "a workbook",
            "data/raw/table.csv: a workbook or an archive; save its sheet as CSV in UTF-8",
            files={TABLE: b"PK\3\4\x14\0\6\0"},
        ),
        Example(
            "no such table",
            "data/raw/tabel.csv: no such file; put the table there, or mend its name in the "
            "command, preprocess.csv or finetune.csv",
            settings={"preprocess.csv": "data/raw/tabel.csv"},
        ),
        Example(
            "a folder for a table",
            "data/raw/folder: a folder; name a CSV file in it",
            settings={"preprocess.csv": "data/raw/folder"},
            shell="mkdir data/raw/folder",
        ),
        Example(
            "an empty table",
            "data/raw/table.csv: empty; the first line must name the columns",
            files={TABLE: ""},
        ),
        Example(
            "a table without rows",
            "data/raw/table.csv: a header but no rows; put rows below it",
            files={TABLE: "weight,colour,kind\n"},
        ),
        Example(
            "an encoding that Python does not know",
            "preprocess.encoding 'latin-0': no encoding of texts that Python knows; set "
            "preprocess.encoding to auto, utf-8 or, for example, cp1252",
            settings={"preprocess.encoding": "latin-0"},
        ),
        Example(
            "a table that is not UTF-8",
            "data/raw/table.csv, line 3: not UTF-8 text; save the table as CSV in UTF-8 or set "
            "preprocess.encoding, for example to cp1252",
            files={TABLE: "town,kind\nParis,a\nKöln,b\n".encode("cp1252")},
        ),
        Example(
            "a separator that is not the file's",
            "data/raw/table.csv, line 1: one column only, 'weight,colour,kind'; is the separator "
            "';'? set preprocess.separator",
            settings={"preprocess.separator": "';'"},
        ),
        Example(
            "a line with another number of cells",
            "data/raw/table.csv, line 3: 3 cells, but the header names 2 columns; mend that line "
            "or set preprocess.separator",
            files={TABLE: "weight,kind\n1,a\n2,b,c\n"},
        ),
        Example(
            "a quote that stays open",
            "data/raw/table.csv, line 3: 2 cells, but the header names 3 columns; mend the "
            "quotes there or set preprocess.separator",
            files={TABLE: 'weight,note,kind\n1,x,a\n2,"y,b\n3,z,a\n'},
        ),
        Example(
            "a quote that stays open in the last column",
            "data/raw/table.csv, line 3: a quote stays open; close it or set preprocess.separator",
            files={TABLE: 'weight,kind\n1,a\n2,"b\n3,a\n'},
        ),
        Example(
            "a cell longer than any",
            "data/raw/table.csv, line 3: field larger than field limit (131072); does a quote "
            "stay open there? mend it or set preprocess.separator",
            files={TABLE: 'weight,kind\n1,a\n2,"b\n' + "3,a\n" * 50_000},
        ),
        Example(
            "a first line that may be names or values",
            "data/raw/table.csv, line 1: '2019': is it a name or a value? set preprocess.header "
            "to first or none",
            files={TABLE: "2019,2021,2020\n1,2,3\n4,5,6\n"},
        ),
        Example(
            "a first line that may be a title or a row",
            "data/raw/table.csv, line 1: 'red' is alone: a title or a row? delete the line, or "
            "write NA where the row has no value",
            files={TABLE: "red,,\nwhite,1.5,a\nred,2.5,b\n"},
        ),
        Example(
            "two columns of one name",
            "data/raw/table.csv, line 1: 2 columns are named 'size'; rename them",
            files={TABLE: "size,size,kind\n1,2,a\n3,4,b\n"},
        ),
        Example(
            "numbers with thousands separators",
            "data/raw/table.csv: column 'price' has numbers with thousands separators, such as "
            "'1.234,50'; write them without; if the column is not used, set preprocess.decimal "
            "to , or .",
            files={TABLE: "price;kind\n1.234,50;a\n2.000,00;b\n"},
        ),
        Example(
            "a comma that may mean two things",
            "data/raw/table.csv: column 'price': '1,234' is a fraction or a thousand; set "
            "preprocess.decimal to , for a fraction, or to . and write thousands without a mark",
            files={TABLE: "price;kind\n1,234;a\n2,500;b\n"},
        ),
        Example(
            "a point between thousands among decimal commas",
            "data/raw/table.csv: row 1, column 'price': '1.234' is a fraction or a thousand; write "
            "thousands without a mark",
            settings={"preprocess.decimal": "','"},
            files={TABLE: "price;kind\n999,5;a\n1.234;b\n"},
        ),
        Example(
            "decimal commas and decimal points",
            "data/raw/table.csv: column 'price' has a decimal comma, '1,25', and column 'size' a "
            "decimal point, '0.5'; set preprocess.decimal to , or .",
            files={TABLE: "price;size;kind\n1,25;0.5;a\n2,5;1.5;b\n"},
        ),
    ],
    "Columns": [
        Example(
            "a feature that is not there",
            "data/raw/table.csv: preprocess.features: there is no column 'color'; the table has "
            "'weight', 'colour', 'kind'",
            settings={"preprocess.features": "[weight, color]"},
        ),
        Example(
            "a position that is not there",
            "data/raw/table.csv: preprocess.features: there is no column 7, the table has 3, "
            "counted from 0",
            settings={"preprocess.features": "[0, 7]"},
        ),
        Example(
            "an item that is no slice",
            "data/raw/table.csv: preprocess.features: '0:1:2' is neither a column nor a slice a:b",
            settings={"preprocess.features": "['0:1:2']"},
        ),
        Example(
            "no feature is chosen",
            "data/raw/table.csv: preprocess.features '2:2': no column is chosen; the table has "
            "'weight', 'colour', 'kind'",
            settings={"preprocess.features": "'2:2'"},
        ),
        Example(
            "the target among the features",
            "data/raw/table.csv: preprocess.features '0:': the target 'kind' is among the "
            "features; leave it out, or the network only copies it",
            settings={"preprocess.features": "'0:'"},
        ),
        Example(
            "a feature twice",
            "data/raw/table.csv: preprocess.features ['weight', 'weight']: column 'weight' is "
            "named twice; leave one out",
            settings={"preprocess.features": "[weight, weight]"},
        ),
        Example(
            "a feature that serves the split",
            "data/raw/table.csv: preprocess.features ['weight', 'colour']: column 'colour' "
            "serves preprocess.split; leave it out",
            settings={
                "preprocess.split.group": "colour",
                "preprocess.features": "[weight, colour]",
            },
        ),
        Example(
            "features that never vary",
            "data/raw/table.csv: preprocess.features: no chosen column varies over the training "
            "rows; choose others",
            files={TABLE: {"weight": ["1"], "colour": ["red"]}},
        ),
        Example(
            "a text in a column of numbers",
            "data/raw/table.csv: row 4, column 'weight': 'unknown' is not a number (and 7 more); "
            "mend the cell, add it to preprocess.missing_values, or leave the column out",
            files={TABLE: {"weight": ["1", "2", "3", "4", "unknown"]}},
        ),
        Example(
            "an infinite number",
            "data/raw/table.csv: row 2, column 'weight': 'inf' is not a number that float32 "
            "holds (and 12 more); mend the cell, add it to preprocess.missing_values, or leave "
            "the column out",
            files={TABLE: {"weight": ["1", "2", "inf"]}},
        ),
        Example(
            "dates of days or months",
            "data/raw/table.csv: column 'day': '01/02/2024' may be day/month or month/day; write "
            "dates as 2024-12-31, or leave the column out",
            files={TABLE: {"day": ["01/02/2024", "03/04/2024"]}},
        ),
        Example(
            "a date that is none",
            "data/raw/table.csv: row 39, column 'day': '30.2.2024' is not a date as the training "
            "rows have them; mend the cell, add it to preprocess.missing_values, or leave the "
            "column out",
            files={TABLE: {"day": ["31.12.2024", "24.12.2024"] * 19 + ["31.12.2024", "30.2.2024"]}},
        ),
        Example(
            "numbers with signs",
            "data/raw/table.csv: column 'price': numbers with signs or units, such as '$5'; write "
            "them as 1234.5, leave the column out, or name it in preprocess.categorical",
            files={TABLE: {"price": ["$5", "$7.50"]}},
        ),
        Example(
            "a gap where none is allowed",
            "data/raw/table.csv: row 2, column 'weight': no value (13 rows); set "
            "preprocess.missing to fill or drop",
            settings={"preprocess.missing": "error"},
            files={TABLE: {"weight": ["1", "2", ""]}},
        ),
        Example(
            "a gap in every row",
            "data/raw/table.csv: no row has a value in every feature, least of all in 'weight'; "
            "set preprocess.missing to fill, or leave that column out",
            settings={"preprocess.missing": "drop"},
            files={TABLE: {"weight": ["", "1"], "colour": ["red", ""]}},
        ),
    ],
    "Target": [
        Example(
            "a target that is not there",
            "data/raw/table.csv: preprocess.target: there is no column 'sort'; the table has "
            "'weight', 'colour', 'kind'",
            settings={"preprocess.target": "sort"},
        ),
        Example(
            "a target without values",
            "data/raw/table.csv: no row has a value in 'kind'; choose another preprocess.target",
            files={TABLE: {"kind": [""]}},
        ),
        Example(
            "a target with one value",
            "data/raw/table.csv: target 'kind': every training row has the value 'cat'; there is "
            "nothing to learn, choose another target",
            files={TABLE: {"kind": ["cat"]}},
        ),
        Example(
            "a target with a class per row",
            "data/raw/table.csv: target 'kind': 32 classes in 32 training rows; choose another "
            "target, or set preprocess.task to regression",
            files={TABLE: {"kind": [str(row) for row in range(40)]}},
        ),
        Example(
            "a text in a target of numbers",
            "data/raw/table.csv: row 0, column 'kind': 'cat' is not a number (and 39 more); mend "
            "the cell, add it to preprocess.missing_values, or leave the column out",
            settings={"preprocess.task": "regression"},
        ),
        Example(
            "a class that no training row has",
            "data/raw/table.csv: row 4, target 'kind': no training row has the class 'cow' (6 "
            "such rows); leave them out or give it more rows",
            settings={"preprocess.split.column": "part", "finetune.csv": "''"},
            files={TABLE: {"part": PARTS, "kind": ["cat", "dog", "cat", "dog", "cow", "cat"]}},
        ),
        Example(
            "a target too far from the others",
            "data/raw/table.csv: row 4, target 'kind': too far from the training rows to be "
            "standardised; mend the cell or leave the row out",
            settings={"preprocess.split.column": "part", "finetune.csv": "''"},
            files={
                TABLE: {"part": PARTS, "kind": ["1e-9", "2e-9", "3e-9", "4e-9", "1e38", "1e-9"]}
            },
        ),
    ],
    "Split": [
        Example(
            "too few rows",
            "data/raw/table.csv: 2 rows: too few to split; at least 3 are needed",
            files={TABLE: "weight,kind\n1,a\n2,b\n"},
        ),
        Example(
            "a column of the split that is not there",
            "data/raw/table.csv: preprocess.split.group: there is no column 'person'; the table "
            "has 'weight', 'colour', 'kind'",
            settings={"preprocess.split.group": "person"},
        ),
        Example(
            "too few groups",
            "data/raw/table.csv: preprocess.split.group: no group is left for test; there are 2 "
            "groups, use a column with more",
            settings={"preprocess.split.group": "person"},
            files={TABLE: {"person": ["ann", "bob"]}},
        ),
        Example(
            "a row without a group",
            "data/raw/table.csv: preprocess.split.group 'person', row 3: no value; fill it",
            settings={"preprocess.split.group": "person"},
            files={TABLE: {"person": ["ann", "bob", "cy", ""]}},
        ),
        Example(
            "too few times",
            "data/raw/table.csv: preprocess.split.time: too few different times to put train "
            "before val before test; use another column",
            settings={"preprocess.split.time": "day"},
            files={TABLE: {"day": ["2024-01-01", "2024-01-02"]}},
        ),
        Example(
            "a time that is none",
            "data/raw/table.csv: preprocess.split.time 'day': not numbers and not dates of one "
            "clear form; write dates as 2024-12-31",
            settings={"preprocess.split.time": "day"},
            files={TABLE: {"day": ["monday", "friday"]}},
        ),
        Example(
            "a row without a time",
            "data/raw/table.csv: preprocess.split.time 'day', row 2: no value; fill it",
            settings={"preprocess.split.time": "day"},
            files={TABLE: {"day": ["2024-01-01", "2024-01-02", ""]}},
        ),
        Example(
            "a part that is none",
            "data/raw/table.csv: preprocess.split.column 'part', row 2: 'dev' is not one of "
            "train, val, test; mend the cell",
            settings={"preprocess.split.column": "part"},
            files={TABLE: {"part": ["train", "val", "dev"]}},
        ),
        Example(
            "a part without rows",
            "data/raw/table.csv: preprocess.split.column 'part': no row is in test; name that "
            "part in some rows",
            settings={"preprocess.split.column": "part"},
            files={TABLE: {"part": ["train", "val"]}},
        ),
    ],
    "Audit": [
        Example(
            "a finding that stops the stage",
            "data/raw/table.csv: column 'answer': each of its 2 values stands for one value of "
            "the target, in every row; leave it out of preprocess.features: it is the target "
            "under another name, or set preprocess.audit to warn (and 1 more findings)",
            settings={"preprocess.audit": "stop", "finetune.csv": "''"},
            files={TABLE: {"answer": ["yes", "no"]}},
        ),
    ],
    "Second table": [
        Example(
            "a second table without a feature",
            "data/raw/second.csv: as the second table: feature columns missing: 'colour'; add "
            "them, or set finetune.csv to '' if there is none",
            files={SECOND: {"colour": []}},
        ),
        Example(
            "a second table with one class",
            "data/raw/second.csv: target 'kind': every training row has the value 'cat'; there "
            "is nothing to learn, choose another target",
            files={SECOND: {"kind": ["cat"]}},
        ),
    ],
    "Training": [
        Example(
            "a network larger than allowed",
            "model.hidden [4]: 34 parameters, more than model.max_parameters 10; take smaller "
            "layers",
            "train",
            settings={"model.max_parameters": "10"},
        ),
        Example(
            "starting weights that are too large",
            "train: cannot learn 16 rows by heart: loss nan after 10 steps, score 0.5; likely "
            "cause: outputs explode: set preprocess.scale to standard or model.init to default; "
            "the features are not scaled, or the weights too large",
            "train",
            settings={
                "model.init": "uniform",
                "model.init_low": "-1e20",
                "model.init_high": "1e20",
            },
        ),
        Example(
            "a gradient that vanishes",
            "train: cannot learn 2 rows by heart: loss 0.693 after 1000 steps, score 0.5; likely "
            "cause: the gradient vanishes (first to last layer 1.3e-10, sigmoid): set "
            "model.activation to relu and model.init to kaiming, or take fewer layers",
            "train",
            settings={
                "model.activation": "sigmoid",
                "model.hidden": "[4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]",
            },
        ),
        Example(
            "a network that is too large for the memory",
            "not enough memory: use a smaller table, batch or network",
            "train",
            settings={"model.hidden": "[1000000000000]"},
        ),
    ],
    "Fine-tuning": [
        Example(
            "more frozen layers than hidden ones",
            "finetune.freeze: 2 layers, but the network has 1 hidden ones and its output layer "
            "stays free; set it to 1 at most",
            "finetune",
            settings={"finetune.freeze": "2"},
        ),
        Example(
            "a frozen layer that is not there",
            "finetune.freeze: 'layer7' matches none of layer0, layer1",
            "finetune",
            settings={"finetune.freeze": "[layer7]"},
        ),
        Example(
            "a frozen output layer",
            "finetune.freeze: 'layer*' matches the output layer layer1, which stays free; name "
            "hidden layers only",
            "finetune",
            settings={"finetune.freeze": "['layer*']"},
        ),
    ],
    "Adopting the winner of a search": [
        Example(
            "a search that names no winner",
            "metrics/search.json: names no best trial; run `dvc repro search`",
            "search --adopt",
            files={"metrics/search.json": "{}\n"},
        ),
        Example(
            "a winner that is not in the table",
            "metrics/trials.csv: no trial 1 in it; run `dvc repro search`",
            "search --adopt",
            files={"metrics/trials.csv": "trial,train.lr\n"},
        ),
        Example(
            "a setting that is no longer there",
            "params.yaml: train.speed: this key is missing; add it, any value will do",
            "search --adopt",
            files={
                "metrics/search.json": '{"search_best_trial": 0}\n',
                "metrics/trials.csv": "trial,train.speed\n0,0.1\n",
            },
        ),
    ],
    "Answering for new rows": [
        Example(
            "a fine-tuned model where there is no second table",
            "data/models/finetuned.pt: there was no second table, so this is the base model; take "
            "--model base, or name a second table in finetune.csv",
            f"predict {NEW} --output answers.csv --model finetuned",
            shell=f"cp {BASE} data/models/finetuned.pt",
        ),
        Example(
            "answers in place of the table",
            "data/raw/new.csv: the table to answer for; name another file with --output",
            f"predict {NEW} --output {NEW}",
        ),
        Example(
            "a new table without a feature",
            "data/raw/new.csv: feature columns missing: 'weight'; add them",
            f"predict {NEW} --output answers.csv",
            files={NEW: {"weight": []}},
        ),
        Example(
            "a gap that training did not allow",
            "data/raw/new.csv: column 'weight' has 20 cells without a value; the model was "
            "trained with preprocess.missing error, so fill them first",
            f"predict {NEW} --output answers.csv",
            files={NEW: {"weight": ["1", ""]}},
            tensors={BASE: {"schema.missing": "error"}},
        ),
        Example(
            "a new text in a column of numbers",
            "data/raw/new.csv: row 1, column 'weight': 'heavy' is not a number (and 19 more); "
            "mend the cell, add it to preprocess.missing_values, or leave the column out",
            f"predict {NEW} --output answers.csv",
            files={NEW: {"weight": ["1", "heavy"]}},
        ),
    ],
    "Exporting a model": [
        Example(
            "the packages for ONNX are not there",
            "--onnx needs the packages onnx and onnxscript; run: python -m pip install "
            "'.[onnx]', or leave --onnx out",
            "export --onnx",
            during=no_onnx,
        ),
        Example(
            "a folder that holds something else",
            "data: has 'models', 'raw', 'resume', 'tensors' and no exported model; name a new or "
            "an empty folder with --output",
            "export --output data",
        ),
    ],
    "Report": [
        Example(
            "a report of nothing",
            "metrics: this folder has no figures; run `dvc repro`, or name a revision that has "
            "them",
            "report",
            shell="rm metrics/*.json",
        ),
        Example(
            "figures that end too early",
            "metrics/train.json of this folder: damaged (Expecting property name enclosed in "
            "double quotes: line 2 column 1 (char 2)); delete it and run `dvc repro`, or name "
            "another revision",
            "report",
            files={"metrics/train.json": "{\n"},
        ),
        Example(
            "a plot's table that is no text",
            "metrics/errors.csv of this folder: damaged ('utf-8' codec can't decode byte 0xff in "
            "position 0: invalid start byte); delete it and run `dvc repro`, or name another "
            "revision",
            "report",
            files={"metrics/errors.csv": b"\xff"},
        ),
        Example(
            "a table of figures with a merge that is not finished",
            "metrics/trials.csv of this folder: damaged (no column trial); delete it and run `dvc "
            "repro`, or name another revision",
            "report",
            shell="sed -i '1i <<<<<<< HEAD' metrics/trials.csv",
        ),
        Example(
            "a revision that does not exist",
            "HEAD~9: Git knows no such revision; `git log --oneline --all` lists them",
            "report --against HEAD~9",
        ),
    ],
    "Tensors and models": [
        Example(
            "a model that is not there",
            "data/models/base.pt: no such file; run `dvc repro`",
            "finetune",
            shell=f"rm {BASE}",
        ),
        Example(
            "a model that is cut off",
            "data/models/base.pt: damaged, or another program's; delete data/models/base.pt and "
            "run `dvc repro`",
            "finetune",
            shell=f"truncate --size 1000 {BASE}",
        ),
        Example(
            "a file of another program",
            "data/tensors/source/train.pt: lacks row, it is another program's; delete "
            "data/tensors/source/train.pt and run `dvc repro`",
            "train",
            tensors={TRAIN: {"row": None}},
        ),
        Example(
            "a model of another version",
            "data/models/base.pt: has format 9, not 1; delete data/models/base.pt and run `dvc "
            "repro`",
            "evaluate",
            tensors={BASE: {"format": 9}},
        ),
        Example(
            "weights that are not as described",
            "data/models/base.pt: its weights and description differ; delete data/models/base.pt "
            "and run `dvc repro`",
            "evaluate",
            tensors={BASE: {"activation": "swish"}},
        ),
        Example(
            "a schema that is not the network's",
            "data/models/base.pt: the network takes 5 features and gives 2 outputs, its schema "
            "has 0 and 2; delete data/models/base.pt and run `dvc repro`",
            "evaluate",
            tensors={BASE: {"schema.features": []}},
        ),
        Example(
            "settings in a model that are not complete",
            "data/models/base.pt: its settings are damaged; delete data/models/base.pt and run "
            "`dvc repro`",
            "finetune",
            tensors={BASE: {"settings.train": {}}},
        ),
        Example(
            "a schema that is cut off",
            "data/tensors/schema.json: damaged (Expecting property name enclosed in double "
            "quotes: line 1 column 2 (char 1)); delete data/tensors/schema.json and run `dvc "
            "repro`",
            "train",
            files={SCHEMA: "{"},
        ),
        Example(
            "a schema of another program",
            "data/tensors/schema.json: not a schema of this project; delete "
            "data/tensors/schema.json and run `dvc repro`",
            "train",
            files={SCHEMA: "{}\n"},
        ),
        Example(
            "tensors of other types",
            "data/tensors/source/train.pt: tensors of types torch.float32, torch.int64, "
            "torch.float32; delete data/tensors/source/train.pt and run `dvc repro`",
            "train",
            tensors={TRAIN: {"row": [0.5]}},
        ),
        Example(
            "tensors of another shape",
            "data/tensors/source/train.pt: features of shape (1, 1), the schema has 5 columns; "
            "delete data/tensors/source/train.pt and run `dvc repro`",
            "train",
            tensors={TRAIN: {"features": [[0.5]]}},
        ),
        Example(
            "rows that are lacking",
            "data/tensors/source/train.pt: 32 rows of features, 32 targets, 2 row numbers; "
            "delete data/tensors/source/train.pt and run `dvc repro`",
            "train",
            tensors={TRAIN: {"row": [0, 1]}},
        ),
        Example(
            "a number that is not finite",
            "data/tensors/source/train.pt: a number is not finite; delete "
            "data/tensors/source/train.pt and run `dvc repro`",
            "train",
            tensors={TRAIN: {"features": [[float("nan")] * 5], "target": [0], "row": [0]}},
        ),
        Example(
            "classes that the schema does not have",
            "data/tensors/source/train.pt: classes 9 to 9, the schema has 0 to 1; delete "
            "data/tensors/source/train.pt and run `dvc repro`",
            "train",
            tensors={TRAIN: {"features": [[0.5] * 5], "target": [9], "row": [0]}},
        ),
    ],
    "Files, disk and other runs": [
        Example(
            "no dvc.yaml",
            "dvc.yaml: not in this folder; run the command in the project's folder",
            shell="rm dvc.yaml",
        ),
        Example(
            "a dvc.yaml without the stage",
            "dvc.yaml: no stage preprocess can be read from it; `git checkout dvc.yaml` restores "
            "it",
            files={"dvc.yaml": "stages: {}\n"},
        ),
        Example(
            "an argument that a stage does not take",
            "python -m stages.train takes no arguments; its settings are in params.yaml",
            "train now",
        ),
        Example(
            "a full disk",
            "cannot write data/tensors/source/test.pt: No space left on device; make room or "
            "mend the folder, then run again",
            during=full_disk,
        ),
        Example(
            "a file in place of a folder",
            "cannot write metrics/audit.csv: File exists; make room or mend the folder, then run "
            "again",
            shell="rm -r metrics; touch metrics",
        ),
        Example(
            "a link to itself",
            "data/raw/table.csv: Too many levels of symbolic links",
            shell=f"ln -sf table.csv {TABLE}",
        ),
        Example(
            "an input that changes",
            "data/raw/more.csv changed while preprocess ran: nothing was recorded, run `dvc repro`",
            during=another_file,
        ),
        Example(
            "a setting that changes",
            "params.yaml: 'preprocess.seed' changed while preprocess ran: nothing was recorded, "
            "run `dvc repro`",
            during=other_setting,
        ),
        Example(
            "a newer run of the same stage",
            "a newer run of preprocess has begun: this one ends and leaves the outputs to it",
            during=newer_run,
        ),
    ],
    "dvc.lock and the Git repository": [
        Example(
            "no repository",
            "no Git repository with a commit in this folder (git rev-parse: fatal: not a git "
            "repository (or any of the parent directories): .git); run `git init && git add "
            "--all && git commit`",
            "verify",
            shell="rm -rf .git",
        ),
        Example(
            "a repository without a commit",
            "no Git repository with a commit in this folder (git rev-parse: fatal: Needed a "
            "single revision); run `git init && git add --all && git commit`",
            "verify",
            shell="git checkout --quiet --orphan new",
        ),
        Example("no Git", "git: no such program on PATH; install Git", "verify", during=no_git),
        Example(
            "no dvc.lock",
            "dvc.lock: not in this folder; `git checkout dvc.lock` restores it",
            "verify",
            shell="rm dvc.lock",
        ),
        Example(
            "a dvc.lock that is not committed",
            "dvc.lock: not in the last commit; commit it with `git add dvc.lock && git commit`",
            "verify",
            shell=UNCOMMITTED,
        ),
        Example(
            "a dvc.lock that is no YAML",
            "dvc.lock, line 2: not valid YAML: expected the node content, but found '<stream "
            "end>'; `python -m stages.verify --mend` restores it",
            "verify",
            files={"dvc.lock": "a: [\n"},
        ),
        Example(
            "a dvc.lock that is not DVC's",
            "dvc.lock: not what DVC writes: schema: Field required; `python -m stages.verify "
            "--mend` restores it",
            "verify",
            files={"dvc.lock": "a: b\n"},
        ),
        Example(
            "a committed dvc.lock that is not DVC's",
            "in the last commit: dvc.lock: not what DVC writes: schema: Field required; delete "
            "it, run `dvc repro` and commit the new one",
            "verify",
            shell="echo 'a: b' > dvc.lock; git commit --quiet --all --message -",
        ),
        Example(
            "a damaged dvc.lock and none in Git",
            "dvc.lock: cannot be read, and none is committed; delete it to start anew",
            "verify --mend",
            shell=f"{UNCOMMITTED}; printf '\\a' > dvc.lock",
        ),
    ],
}


def page() -> str:
    """Return the text of the page."""
    lines = [INTRODUCTION.format(table="".join(table({}).splitlines(keepends=True)[:4]))]
    for group, examples in GROUPS.items():
        lines += [f"## {group}\n"]
        for example in examples:
            lines += [f"{example.name}:\n", "```", *example.session(), "```\n"]
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    files.write_bytes(PAGE, page().encode())
