"""finetune: the base model learns the second table, beside controls that start from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.common.launch import launch

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def finetune(settings: Settings, paths: Declared) -> None:
    """Write the fine-tuned model, the curves of every arm and metrics/finetune.json."""
    from stages.common import arithmetic, checkpoint, transfer
    from stages.common.checkpoint import Checkpoint
    from stages.common.partition import Partition
    from stages.common.resume import Saves

    device = arithmetic.device(settings.device, settings.arithmetic)
    base = Checkpoint.load(paths("base.pt"))
    base.check_settings(paths("base.pt"))
    schema = checkpoint.read_schema(paths("schema.json")).get("target")
    written = paths("transfer.csv"), paths("freezing.csv"), paths("finetune.json")
    if schema is None:
        print("finetune: no second table (finetune.csv is empty): the base model is passed on")
        base.save(paths("finetuned.pt"))
        transfer.write_nothing(*written)
        return
    rows = Partition.load(paths("target/train.pt"), schema).to(device)
    val = Partition.load(paths("target/val.pt"), schema).to(device)
    slot = Saves(paths, settings).slot("arms")
    result = transfer.run(base, schema, rows, val, settings.finetune, slot)
    result.checkpoint.save(paths("finetuned.pt"))
    transfer.write(result, *written)


if __name__ == "__main__":
    launch("finetune", finetune)
