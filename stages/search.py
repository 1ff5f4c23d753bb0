"""search: many settings tried at once; `--adopt` writes the winner into params.yaml."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from stages.common.launch import command, launch

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings


def search(settings: Settings, paths: Declared) -> None:
    """Write every trial, the finalists, what each setting does, and the figures."""
    from stages.common import (
        arithmetic,
        checkpoint,
        files,
        finalists,
        proposals,
        ranking,
        sensitivity,
        space,
    )
    from stages.common.partition import Partition
    from stages.common.resume import Saves
    from stages.common.trials import Common

    device = arithmetic.device(settings.device, settings.arithmetic)
    schema = checkpoint.read_schema(paths("schema.json"))["source"]
    rows = Partition.load(paths("source/train.pt"), schema).to(device)
    val = Partition.load(paths("source/val.pt"), schema).to(device)

    chosen, saves = settings.search, Saves(paths, settings)
    common = Common(schema, rows, val, settings.model, settings.train, chosen)
    found = proposals.run(common, saves)
    best = finalists.run(common, found, saves)
    ranking.write_table(paths("trials.csv"), found, chosen.space)
    finalists.write(paths("finalists.csv"), best)
    sensitivity.write_effects(paths("effects.csv"), found, chosen.space)
    sensitivity.write_importance(paths("importance.csv"), found, chosen.space)
    figures = ranking.figures(found, best, schema, chosen.seed)
    files.write_metrics(paths("search.json"), figures)
    now = settings.model, settings.train
    adopted = bool(best) and space.apply(found[best[0].trial].point, *now) == now
    print(ranking.sentence(found, best, schema, figures, adopted))
    for each in best[:1]:
        for edge in space.edges(found[each.trial].point, chosen, settings.model, settings.train):
            print(f"search: trial {each.trial} is on the edge of the space: {edge}; widen it")


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
