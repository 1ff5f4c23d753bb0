"""preprocess: the CSV tables become tensors; statistics come from training rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.common.launch import launch

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def preprocess(settings: Settings, paths: Declared) -> None:
    """Write the encoded parts of both tables, the schema and metrics/preprocess.json."""
    from stages.common import dataset, files

    source = dataset.build(settings.preprocess)
    print(source.summary())
    target = dataset.build_second(settings.preprocess, settings.finetune.csv, source.schema)
    tables = {"source": source} | ({"target": target} if target else {})
    if target:
        print(target.summary())
    for name, table in (("source", source), ("target", target or source.empty())):
        for part, rows in table.parts.items():
            rows.save(paths(f"{name}/{part}.pt"))
    schemas = {name: table.schema.model_dump() for name, table in tables.items()}
    files.write_json(paths("schema.json"), schemas)
    files.write_metrics(paths("preprocess.json"), dataset.figures(source, target))


if __name__ == "__main__":
    launch("preprocess", preprocess)
