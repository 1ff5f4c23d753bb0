"""Names in a message: quoted, the first eight of many."""

from __future__ import annotations

import pytest

from stages.common.names import listed


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
