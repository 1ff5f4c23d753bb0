"""Products of a stack: correct, the same alone and in any stack, without a word at an overflow."""

from __future__ import annotations

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stages.common.products import product

WIDTH = st.integers(1, 70)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def layouts(matrices: Tensor) -> list[Tensor]:
    """The same matrices as they are and as the transposed of others; the first one for all."""
    return [matrices, matrices.mT.contiguous().mT, matrices[:1].expand_as(matrices)]


@settings(deadline=None, max_examples=40, derandomize=True)
@given(members=st.integers(1, 6), rows=WIDTH, inner=WIDTH, columns=WIDTH)
def test_products_are_those_of_torch_in_double_precision(members, rows, inner, columns):
    for left in layouts(draw(members, rows, inner)):
        for right in layouts(draw(members, inner, columns, seed=1)):
            expected = torch.bmm(left.double(), right.double()).float()
            torch.testing.assert_close(product(left, right), expected, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(members=st.integers(2, 6), rows=WIDTH, inner=WIDTH, columns=WIDTH)
def test_a_members_product_has_the_same_bytes_alone_and_in_any_stack(members, rows, inner, columns):
    for left in layouts(draw(members, rows, inner)):
        for right in layouts(draw(members, inner, columns, seed=1)):
            whole = product(left, right)
            for index in ([members - 1], [members - 1, 0]):
                part = product(left[index], right[index])
                assert part.numpy().tobytes() == whole[index].numpy().tobytes()


@pytest.mark.parametrize(
    "shape", [(1, 200, 1), (1, 1, 9), (9, 1, 1), (1, 64, 9), (64, 200, 1), (9, 1, 64)]
)
def test_a_stride_that_means_nothing_changes_no_byte(shape):
    """That of a dimension of 1: torch gives it one that can depend on the stack."""
    rows, inner, columns = shape
    for left in layouts(draw(1, rows, inner)):
        for right in layouts(draw(1, inner, columns, seed=1)):
            expected = product(left, right)
            for odd in (1, 3, 50):
                pair = [
                    matrices.as_strided(
                        matrices.shape,
                        [
                            odd if size == 1 else stride
                            for size, stride in zip(matrices.shape, matrices.stride(), strict=True)
                        ],
                    )
                    for matrices in (left, right)
                ]
                assert product(*pair).numpy().tobytes() == expected.numpy().tobytes()


def test_a_product_is_written_where_it_shall_be_and_nowhere_else():
    rows = torch.full((3, 2 * 4 + 5), 7.0)
    left, right = draw(3, 2, 6), draw(3, 6, 4, seed=1)
    out = rows[:, :8].view(3, 2, 4)
    assert product(left, right, out=out).data_ptr() == rows.data_ptr()
    assert torch.equal(rows[:, :8].reshape(3, 2, 4), product(left, right))
    assert (rows[:, 8:] == 7).all()


def test_an_overflow_gives_infinity_without_a_warning():
    huge = torch.full((1, 2, 2), 3e38)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert product(huge, huge).isinf().all()
        assert product(huge * 10, torch.tensor([[[1.0], [-1.0]]])).isnan().all()


@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 4, 4)])
def test_matrices_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match=r"mismatch|broadcast"):
        product(draw(3, 2, 4), draw(*shape))


def test_another_device_than_the_cpu_writes_where_it_shall(monkeypatch):
    left, right, out = draw(3, 2, 4), draw(3, 4, 5), torch.zeros(3, 2, 5)
    expected = product(left, right)
    monkeypatch.setattr(Tensor, "is_cpu", False)
    product(left, right, out=out)
    torch.testing.assert_close(out, expected)


def test_another_device_than_the_cpu_multiplies_by_itself():
    left, right = draw(3, 2, 4).to("meta"), draw(3, 4, 5).to("meta")
    found = product(left, right)
    assert (found.device.type, found.shape) == ("meta", (3, 2, 5))
