"""A small sample of `make chaos`: kills at random instants, the same bytes in the end."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.imports import ROOT

KILLS = 10


def test_a_pipeline_that_is_killed_ends_with_the_same_bytes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--kills", str(KILLS), "--seed", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    closing = re.search(r"(\d+) kills in (\d+) runs: (\d+) runs ended with the", done.stdout)
    assert closing
    kills, runs, same = map(int, closing.groups())
    assert kills >= KILLS
    assert runs == same == done.stdout.count(": same")
