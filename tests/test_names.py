"""Names in a message: quoted, the first eight of many; numbers with their noun."""

from __future__ import annotations

import pytest

from stages.common.names import counted, listed


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], "none"),
        (["a"], "'a'"),
        (("a", "b c"), "'a', 'b c'"),
        (list("abcdefgh"), "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'"),
        (list("abcdefghi"), "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', ... (9)"),
    ],
)
def test_names_are_quoted_and_the_first_eight_are_shown(names, text):
    assert listed(names) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1500, "1,500 rows")]
)
def test_a_noun_takes_an_s_unless_there_is_one(number, text):
    assert counted(number, "row") == text
