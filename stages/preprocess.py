"""preprocess: the CSV tables become tensors; statistics come from training rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.common.launch import launch

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def preprocess(settings: Settings, paths: Declared) -> None:
    """Write the encoded parts of both tables, the schema, what the audit found, the sizes."""
    from stages.common import dataset, files, inspection

    chosen, folder = settings.preprocess, paths("schema.json").parent
    source = dataset.read(chosen, folder)
    second = dataset.read_second(chosen, settings.finetune.csv, source.schema, folder)
    tables = {"source": source, "target": second or source.empty()}
    inspected = []
    for name, table in tables.items():
        inspector = inspection.Inspector(name, table, chosen.audit)
        places = {part: paths(f"{name}/{part}.pt") for part in table.sizes()}
        table.save(places, inspector.add)
        if table is source or second:
            print(table.summary())
            inspected.append(inspector.inspect())
    schemas = {found.name: found.table.schema.model_dump() for found in inspected}
    files.write_json(paths("schema.json"), schemas)
    files.write_csv(paths("audit.csv"), inspection.HEADER, inspection.rows(inspected))
    files.write_metrics(paths("preprocess.json"), inspection.figures(inspected))


if __name__ == "__main__":
    launch("preprocess", preprocess)
