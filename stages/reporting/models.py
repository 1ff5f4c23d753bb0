"""The two models and their tables: how sentences, figures and files name them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A model and the table that it learns.

    name, rows: of model and table in sentences; column: the model in the column `model` of CSV
    files; table: in the schema, the audit and the folders of tensors; counts: what the figures
    of preprocess on the table begin with; setting: names the table's file.
    """

    name: str
    rows: str
    column: str
    table: str
    counts: str
    setting: str


# what the test figures and the file of predictions of a model begin with: the model
MODELS = {
    "": Model("base model", "table", "base", "source", "", "preprocess.csv"),
    "finetuned_": Model(
        "fine-tuned model", "second table", "finetuned", "target", "second_", "finetune.csv"
    ),
}
