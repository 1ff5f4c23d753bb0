"""repository: the committed state is what is cloned, whatever lies in the folder."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from stages.common.errors import UserError
from stages.verification import repository
from tests.project import commit, run
from tests.recorded import write


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A repository with three commits, in a folder with a space."""
    path: Path = tmp_path / "a project"
    for number in range(3):
        write(path, {"a.txt": f"{number}\n", "sub/b.txt": f"{number}\n", "sub/c.txt": "same\n"})
        if not number:
            run(path, "git", "init", "--quiet")
        commit(path)
    write(path, {"a.txt": "not committed\n", "new.txt": ""})
    monkeypatch.chdir(path)
    return path


def test_a_clone_has_the_committed_files_and_goes_at_the_end(folder):
    with repository.clone() as clone:
        assert (clone / "a.txt").read_text() == "2\n"
        assert not (clone / "new.txt").exists()
        (clone / "a.txt").write_text("changed")
    assert not clone.exists()
    assert (folder / "a.txt").read_text() == "not committed\n"


def test_a_clone_goes_also_when_its_use_fails(folder):
    with pytest.raises(KeyboardInterrupt), repository.clone() as clone:
        raise KeyboardInterrupt
    assert not clone.parent.exists()


def test_a_folder_of_a_repository_is_cloned_as_that_folder(folder, monkeypatch):
    monkeypatch.chdir(folder / "sub")
    with repository.clone() as clone:
        assert (clone / "b.txt").read_text() == "2\n"
        assert [path.read_text() for path in repository.versions(Path("b.txt"), clone)] == [
            "2\n",
            "1\n",
            "0\n",
        ]
    assert repository.committed(Path("b.txt")) == b"2\n"


def test_the_commit_of_a_linked_worktree_or_of_no_branch_is_cloned(folder, tmp_path, monkeypatch):
    run(folder, "git", "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), "HEAD~1")
    monkeypatch.chdir(tmp_path / "tree")
    with repository.clone() as clone:
        assert (clone / "a.txt").read_text() == "1\n"
    assert repository.committed(Path("a.txt")) == b"1\n"


def test_the_variables_of_a_hook_lead_no_command_astray(folder, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(folder / ".git/index"))
    before = (folder / ".git/index").read_bytes()
    with repository.clone() as clone:
        assert repository.git("rev-parse", "--show-toplevel", folder=clone).decode() == f"{clone}\n"
        assert len(list(repository.versions(Path("a.txt"), clone))) == 3
    assert (folder / ".git/index").read_bytes() == before
    assert "GIT_DIR" not in repository.environment()


def test_versions_are_those_that_changed_the_path_the_last_first(folder):
    run(folder, "git", "rm", "--quiet", "--force", "sub/b.txt")
    run(folder, "git", "commit", "--quiet", "--message", "gone")
    with repository.clone() as clone:
        found = [path.read_text() for path in repository.versions(Path("sub/b.txt"), clone)]
        assert found == ["2\n", "1\n", "0\n"]
        folders = list(repository.versions(Path("sub"), clone))
        assert [len(list(path.iterdir())) for path in folders] == [1, 2, 2, 2]
        assert list(repository.versions(Path("none"), clone)) == []
        assert (clone / "a.txt").read_text() == "2\n"
        places = {path for pair in itertools.pairwise(folders) for path in pair}
    assert not any(path.exists() for path in places)


def test_what_is_not_committed_is_none(folder):
    assert repository.committed(Path("new.txt")) is None
    assert repository.committed(Path("a.txt")) == b"2\n"


def test_a_folder_without_a_commit_is_the_users_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no Git repository with a commit in this folder"):
        repository.check()
    run(tmp_path, "git", "init", "--quiet")
    with pytest.raises(UserError, match="no Git repository with a commit in this folder"):
        repository.check()


def test_what_git_refuses_is_one_line_of_its_own_words(folder):
    with pytest.raises(UserError, match=r"^git checkout: error: pathspec 'none' did not match"):
        repository.git("checkout", "none")


def test_no_hook_of_the_users_template_runs_in_a_clone(folder, tmp_path, monkeypatch):
    hook = tmp_path / "template/hooks/post-checkout"
    write(hook.parent, {hook.name: f"#!/bin/sh\ntouch '{tmp_path}/ran'\n"})
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    with repository.clone() as clone:
        assert (clone / "a.txt").exists()
    assert not (tmp_path / "ran").exists()
