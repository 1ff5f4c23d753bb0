"""train: overfit one batch as a check, then train the members of the base model at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.common.launch import launch

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def train(settings: Settings, paths: Declared) -> None:
    """Write the base model, the linear baseline, their curves and metrics/train.json."""
    from stages.common import arithmetic, checkpoint, curves, ensemble, gate, linear, network
    from stages.common.partition import Partition
    from stages.common.resume import Saves

    device = arithmetic.device(settings.device, settings.arithmetic)
    schema = checkpoint.read_schema(paths("schema.json"))["source"]
    rows = Partition.load(paths("source/train.pt"), schema).to(device)
    val = Partition.load(paths("source/val.pt"), schema).to(device)

    widths = [schema.n_features, *settings.model.hidden, schema.n_outputs]
    network.check_budget(widths, settings.model.max_parameters)
    passed = gate.overfit(schema, rows, settings.model, settings.train.seed)
    print(
        f"gate: {passed.rows} rows learnt by heart in {passed.steps} steps, loss {passed.loss:.4f}"
    )
    saves = Saves(paths, settings)
    given = schema, rows, val, settings.model, settings.train
    base = ensemble.train(*given, saves.slot("base"))
    plain = linear.train(*given, saves)

    base.checkpoint.save(paths("base.pt"))
    plain.save(paths("linear.pt"))
    curves.write_history(paths("training.csv"), base.fitted.history, base.fitted.best)
    curves.write_health(paths("health.csv"), base.health)
    beside = linear.figures(plain, val)
    ensemble.write_figures(paths("train.json"), base, beside, passed, rows, val)
    print(linear.sentence(plain, beside))


if __name__ == "__main__":
    launch("train", train)
