"""Test accuracy of the base model over split seeds, with the settings of params.yaml.

The search proposed these settings by the validation rows of the first split. Most rows that
other splits test were training rows of that search: it saw them, but did not choose by them.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import stages  # noqa: F401  isort: skip
from stages.common import dataset, ensemble, linear, measurement, params
from tests.columns import partition

SEEDS = range(20)


def main() -> None:
    """Print a row per split seed, then mean and standard deviation."""
    settings = params.load()
    tested, validated, beside = [], [], []
    print("seed   validation   test   linear model, test")
    for seed in SEEDS:
        chosen = settings.preprocess.model_copy(update={"seed": seed})
        built = dataset.read(chosen, Path(tempfile.gettempdir()))
        rows, val, test = (partition(built, part) for part in ("train", "val", "test"))
        schema, recipe = built.schema, settings.train.model_copy(update={"seed": seed})
        base = ensemble.train(schema, rows, val, settings.model, recipe).fitted.stack
        plain = linear.train(schema, rows, val, settings.model, recipe).stack
        validated.append(measurement.measure_together(schema.task, base, val)[1])
        tested.append(measurement.measure_together(schema.task, base, test)[1])
        beside.append(measurement.measure_together(schema.task, plain, test)[1])
        print(f"{seed:4}   {validated[-1]:10.4f}   {tested[-1]:.4f}   {beside[-1]:.4f}", flush=True)
    for name, values in (("base", tested), ("linear", beside)):
        mean, deviation = statistics.mean(values), statistics.stdev(values)
        print(
            f"{name}: mean test accuracy {mean:.4f}, standard deviation {deviation:.4f}, "
            f"{len(values)} split seeds"
        )


if __name__ == "__main__":
    main()
