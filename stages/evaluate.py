"""evaluate: the only stage that reads test rows; figures of both models beside baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.common.launch import launch

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def evaluate(settings: Settings, paths: Declared) -> None:
    """Write metrics/evaluate.json, the predicted test rows, tables for plots, the wrong rows."""
    from stages.common import arithmetic, diagnostics, evaluation, files
    from stages.common.checkpoint import Checkpoint
    from stages.common.partition import Partition

    device = arithmetic.device(settings.device, settings.arithmetic)
    bins = settings.evaluate.calibration_bins
    found: evaluation.Figures = {}
    wrong: list[list[object]] = []
    tables: dict[str, list[list[object]]] = {name: [] for name in diagnostics.COLUMNS}
    for model, table, prefix, other in (
        ("base", "source", "", "linear"),
        ("finetuned", "target", "finetuned_", "base"),
    ):
        trained = Checkpoint.load(paths(f"{model}.pt")).to(device)
        beside = Checkpoint.load(paths(f"{other}.pt")).to(device)
        rows = Partition.load(paths(f"{table}/test.pt"), trained.schema).to(device)
        stack, schema = trained.stack, trained.schema
        predicted = evaluation.predict(stack, schema, rows.features).cpu()
        pairs = evaluation.answers(schema, rows, predicted)
        files.write_csv(paths(f"{prefix}predicted.csv"), ("actual", "predicted"), pairs)
        if len(rows) == 0:
            continue
        figures = evaluation.figures(predicted, schema, rows, bins)
        figures |= evaluation.baseline(schema, rows, predicted)
        figures |= evaluation.reference(beside, other, schema, rows, predicted)
        found |= {f"{prefix}test_{name}": value for name, value in figures.items()}
        for name, drawn in diagnostics.tables(schema, predicted, rows, bins).items():
            tables[name] += [[model, *row] for row in drawn]
        listed = evaluation.errors(stack, schema, rows, predicted)
        wrong += [[model, *error] for error in listed]
        print(evaluation.sentence(model, figures))
    size = "confidence" if schema.task == "classification" else "residual"
    header = ("model", "row", "actual", "predicted", size, "top_features")
    files.write_csv(paths("errors.csv"), header, wrong)
    for name, columns in diagnostics.COLUMNS.items():
        files.write_csv(paths(name), ("model", *columns), tables[name])
    files.write_metrics(paths("evaluate.json"), found)


if __name__ == "__main__":
    launch("evaluate", evaluate)
