"""Write the two digit tables, digits.csv and digits_tilted.csv.

Run as `python data/make_digits.py [FOLDER]`; without FOLDER the tables go to
the folder `raw` beside this script.

Both tables come from the digits that scikit-learn carries: 1797 images of 8x8
pixels with values 0 to 16. A seeded shuffle deals each image to exactly one of
the tables. Those of digits_tilted.csv are turned and made noisy, and stand for
a second scanner that is mounted crooked.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.datasets import load_digits

RAW_FOLDER = Path(__file__).resolve().parent / "raw"

SIDE = 8
MAX_VALUE = 16
N_STRAIGHT = 1197
TILT_DEGREES = 20  # counter-clockwise as the image is seen, row 0 on top
MAX_NOISE = 2

# RandomState, unlike default_rng, promises the same stream in every version.
SPLIT_SEED = 20
NOISE_SEED = 21


def split_ids(n_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Deal the indices 0..n_images-1 to the straight and the tilted table, each sorted."""
    order = np.random.RandomState(SPLIT_SEED).permutation(n_images)
    return np.sort(order[:N_STRAIGHT]), np.sort(order[N_STRAIGHT:])


def tilt(images: np.ndarray) -> np.ndarray:
    """Turn the images (n, 8, 8), add integer noise, and keep them in 0..16."""
    turned = ndimage.rotate(
        images.astype(np.float64),
        TILT_DEGREES,
        axes=(2, 1),
        reshape=False,
        order=1,
        mode="constant",
        cval=0.0,
    )
    noise = np.random.RandomState(NOISE_SEED).randint(
        -MAX_NOISE, MAX_NOISE + 1, size=images.shape, dtype=np.int64
    )
    noisy: np.ndarray = np.rint(turned).astype(np.int64) + noise
    return noisy.clip(0, MAX_VALUE)


def as_table(ids: np.ndarray, images: np.ndarray, digits: np.ndarray) -> pd.DataFrame:
    """One row per image: its id, its pixels row by row, its digit; all int64."""
    columns = [f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)]
    table = pd.DataFrame(images.reshape(len(images), -1).astype(np.int64), columns=columns)
    table.insert(0, "id", ids.astype(np.int64))
    table["digit"] = digits.astype(np.int64)
    return table


def digits_table() -> pd.DataFrame:
    """The table digits.csv: 1197 images as they are."""
    source = load_digits()
    ids, _ = split_ids(len(source.images))
    return as_table(ids, source.images[ids], source.target[ids])


def digits_tilted_table() -> pd.DataFrame:
    """The table digits_tilted.csv: the other 600 images, turned and noisy."""
    source = load_digits()
    _, ids = split_ids(len(source.images))
    return as_table(ids, tilt(source.images[ids]), source.target[ids])


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write the table whole or not at all, with LF line ends on every system."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            table.to_csv(file, index=False, lineterminator="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Write digits.csv and digits_tilted.csv.")
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=RAW_FOLDER,
        help="where the tables go (default: the folder raw beside this script)",
    )
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("digits.csv", digits_table()),
        ("digits_tilted.csv", digits_tilted_table()),
    ):
        write_csv(table, folder / name)
        print(f"{name}: {len(table)} rows, {len(table.columns)} columns")


if __name__ == "__main__":
    main()
