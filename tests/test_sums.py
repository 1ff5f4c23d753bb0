"""sums: the md5 of files and folders is the one that DVC records."""

from __future__ import annotations

import hashlib

import pytest
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree

from stages.verification import sums
from stages.verification.place import content
from tests.imports import ROOT
from tests.recorded import flip, write


def test_the_tables_have_the_md5_of_the_committed_record():
    recorded = content(ROOT / "dvc.lock")["stages"]["preprocess"]["deps"]
    folders = {entry["path"]: entry["md5"] for entry in recorded if "nfiles" in entry}
    assert set(folders) == {"data/raw"}
    assert sums.md5(ROOT / "data/raw") == folders["data/raw"]
    assert len(sums.listing(ROOT / "data/raw")) == 3


def test_a_folder_has_the_md5_of_the_list_that_dvc_makes(tmp_path):
    contents = {"b.csv": "1\n", "a b.csv": "\r\n", "é/z.csv": "", "é/deep/a.csv": "x", "B.csv": ""}
    write(tmp_path, contents)
    tree = Tree()
    for name in contents:
        md5 = hashlib.md5((tmp_path / name).read_bytes()).hexdigest()
        tree.add(tuple(name.split("/")), None, HashInfo("md5", md5))
    tree.digest()
    assert sums.md5(tmp_path) == tree.hash_info.value
    assert sums.md5(tmp_path).endswith(".dir")


def test_a_file_larger_than_a_chunk_is_hashed_whole(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(3_000_000))
    before = sums.md5(path)
    assert before == hashlib.md5(bytes(3_000_000)).hexdigest()
    flip(path, 2_999_999, 7)
    assert sums.md5(path) != before


def test_a_change_that_leaves_size_and_time_alone_is_seen(tmp_path):
    import os

    path = tmp_path / "a.csv"
    path.write_text("1")
    before, state = sums.md5(path), path.stat()
    path.write_text("2")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert sums.md5(path) != before


@pytest.mark.parametrize("name", ["none", "folder/none"])
def test_what_is_not_there_has_none(tmp_path, name):
    assert sums.md5(tmp_path / name) == ""
