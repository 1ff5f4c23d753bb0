"""search: many settings tried at once; `--adopt` writes the winner into params.yaml."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stages.common.launch import command, launch

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def search(settings: Settings, paths: Declared) -> None:
    """Write metrics/trials.csv with one row per trial, its summary and metrics/search.json."""
    from stages.common import arithmetic, checkpoint, files, proposals, ranking
    from stages.common.partition import Partition
    from stages.common.resume import Saves

    device = arithmetic.device(settings.device, settings.arithmetic)
    schema = checkpoint.read_schema(paths("schema.json"))["source"]
    rows = Partition.load(paths("source/train.pt"), schema).to(device)
    val = Partition.load(paths("source/val.pt"), schema).to(device)

    sections = settings.model, settings.train, settings.search
    found = proposals.run(schema, rows, val, *sections, Saves(paths, settings))
    ranking.write_table(paths("trials.csv"), found, settings.search.space)
    ranking.write_effects(paths("effects.csv"), found, settings.search.space)
    figures = ranking.figures(found, schema, settings.search.seed)
    files.write_metrics(paths("search.json"), figures)
    print(ranking.sentence(found, schema, figures))


def adopt(settings: Settings, paths: Declared) -> None:
    """Write the settings of the best trial into params.yaml and print what changed."""
    from stages.common import adoption

    print(adoption.adopt(paths("trials.csv"), paths("search.json")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m stages.search", description="Try many settings at once."
    )
    parser.add_argument("--adopt", action="store_true", help="write the winner into params.yaml")
    if parser.parse_args().adopt:
        command("search", adopt)
    launch("search", search)
