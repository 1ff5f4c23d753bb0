"""Records as a table of numbers, and back."""

from __future__ import annotations

import math

import torch

from stages.common.record import Record, as_table, of_table


def test_records_come_back_from_their_table_exactly():
    third = 1 / 3  # which float32 does not hold
    records = [Record(0, 2, third, 1e300, 5e-324, -0.0, third), Record(2**40, 7, *[0.5] * 5)]
    table = as_table(records)
    assert table.dtype == torch.float64
    assert table.shape == (2, 7)
    back = of_table(table)
    assert back == records
    assert all(type(one.epoch) is type(one.member) is int for one in back)


def test_what_was_not_measured_stays_so():
    (back,) = of_table(as_table([Record(0, 0, math.nan, math.nan, math.nan, math.inf, 1.0)]))
    assert math.isnan(back.running_loss)
    assert math.isnan(back.train_score)
    assert back.val_loss == math.inf
