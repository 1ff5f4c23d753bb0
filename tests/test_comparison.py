"""comparison: what is said of two states, in a terminal and on the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stages.reporting import changes, comparison
from tests import reported
from tests.project import commit
from tests.test_likeness import other_rows, other_setting, states

GAIN = "gain over training from scratch as long, validation"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    path = reported.make(tmp_path / "project")
    monkeypatch.chdir(path)
    return path


def sentences() -> str:
    return "\n".join(comparison.section(*states()).sentences)


def verdicts() -> dict[str, str]:
    return {one.key: one.verdict for one in changes.changes(*states())}


def test_nothing_changed_is_no_difference(folder):
    assert set(verdicts().values()) == {"the same"}
    assert "Differences larger than the spread: none." in sentences()


def test_figures_of_different_tables_get_no_verdict(folder):
    other_rows(folder, "source")
    other_rows(folder, "target")
    other_setting(folder, "preprocess.csv", "data/raw/animals.csv")
    reported.figures(folder, "train", ensemble_val_accuracy=0.1, val_accuracy=0.1)
    assert set(verdicts().values()) == {"another table"}
    assert "Different tables (preprocess.csv): their figures cannot be compared." in sentences()
    assert "larger" not in sentences()


def test_another_second_table_leaves_the_figures_of_the_first(folder):
    other_rows(folder, "target")
    other_setting(folder, "finetune.csv", "data/raw/other.csv")
    found = verdicts()
    assert (found["test_accuracy"], found["val_accuracy"]) == ("the same", "the same")
    assert found["transfer_gain"] == found["finetuned_test_accuracy"] == "another table"
    assert "Different second tables (finetune.csv): their figures cannot" in sentences()


def test_a_gain_is_told_with_its_two_arms_and_without_praise(folder):
    reported.figures(folder, "finetune", transfer_gain=0.7, transfer_gain_low=0.6,
                     transfer_gain_high=0.8, finetune_val_accuracy=0.9,
                     control_val_accuracy=0.2)  # fmt: skip
    were = reported.recorded("finetune")
    arms = were["finetune_val_accuracy"], were["control_val_accuracy"]
    said = (
        f"{GAIN} ({0.7 - were['transfer_gain']:+.3f}, fine-tuned {arms[0]:.3f} to 0.900, "
        f"from scratch {arms[1]:.3f} to 0.200)."
    )
    assert said in sentences()


def test_a_figure_is_named_whole_and_told_as_better_or_worse(folder):
    reported.figures(folder, "train", val_accuracy=0.8, val_accuracy_deviation=0.01,
                     ensemble_val_accuracy=0.8)  # fmt: skip
    said = sentences()
    assert "base model, validation rows (-0.200, worse); " in said
    assert re.search(r"base model, validation rows, one of its networks \(-0\.\d+, worse\)", said)
    reported.figures(folder, "train", linear_val_accuracy=0.5, ensemble_val_accuracy=1.0,
                     val_accuracy=1.0)  # fmt: skip
    assert "worse" not in sentences()


def test_one_network_and_all_together_are_judged_by_the_same_rows(folder):
    """Two of 120 rows: more than the starts differ, less than other rows would."""
    reported.figures(folder, "train", val_accuracy=118 / 120, val_accuracy_deviation=0.001,
                     ensemble_val_accuracy=118 / 120)  # fmt: skip
    found = verdicts()
    assert found["val_accuracy"] == found["ensemble_val_accuracy"] == "within noise"
    reported.figures(folder, "train", val_accuracy=0.7, val_accuracy_deviation=0.2)
    noisy = changes.difference("val_accuracy", *states())
    assert noisy
    assert noisy.word() == "within noise: 1.5 standard deviations between starts"


def test_the_page_says_once_what_shows_both_states(folder):
    assert sentences().count("all other sections show this folder alone") == 1


def test_a_terminal_shows_both_figures_and_the_verdict(folder):
    reported.figures(folder, "evaluate", test_linear_accuracy=0.5)
    header, *rows = comparison.lines(*states())
    assert header.split() == ["HEAD", "this", "folder", "difference"]
    assert rows[2].split()[:5] == ["linear", "model", "0.942", "0.500", "-0.442"]
    assert rows[2].endswith("  larger than the spread")
    assert max(map(len, rows[:-4])) < 120


def test_a_lower_rmse_is_better(folder):
    reported.regression(folder)
    path = folder / "metrics/plots/predicted.csv"
    path.write_text("actual,predicted\n" + "".join(f"{row},{row + 2}\n" for row in range(12)))
    commit(folder)
    path.write_text("actual,predicted\n" + "".join(f"{row},{row + 1}\n" for row in range(12)))
    reported.figures(folder, "evaluate", test_rmse=1.0)
    assert "base model, test rows, RMSE (-0.500, better)" in sentences()
    commit(folder)
    path.write_text("actual,predicted\n" + "".join(f"{row},{row + 2}\n" for row in range(12)))
    reported.figures(folder, "evaluate", test_rmse=1.5)
    assert "base model, test rows, RMSE (+0.500, worse)" in sentences()
