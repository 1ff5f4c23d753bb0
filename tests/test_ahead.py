"""The next item is made in advance; nothing else changes."""

from __future__ import annotations

import threading

import pytest

from stages.common.ahead import ahead


def test_the_items_come_in_their_order():
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter([None, 0, ""]))) == [None, 0, ""]
    assert list(ahead(iter([]))) == []


def test_the_next_item_is_made_while_one_is_used():
    made = [threading.Event(), threading.Event()]

    def items():
        for event in made:
            event.set()
            yield event

    for _ in ahead(items()):
        assert made[1].wait(timeout=60)
        break


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise ValueError("third")

    reader = ahead(items())
    assert [next(reader), next(reader)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(reader)


def test_no_thread_is_left_when_the_reader_stops_early():
    before = threading.active_count()
    reader = ahead(iter(range(10)))
    next(reader)
    reader.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
