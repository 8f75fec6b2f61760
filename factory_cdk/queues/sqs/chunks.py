"""Sequences in the portions that a call takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

One = TypeVar("One")


def chunks(everything: Sequence[One], most: int) -> Iterator[Sequence[One]]:
    """`everything`, in portions of up to `most`."""
    for start in range(0, len(everything), most):
        yield everything[start : start + most]


def chunks_within(everything: Sequence[tuple[One, int]], most: int, size: int) -> Iterator[list[One]]:
    """`everything`, each of which is given with its size, in portions of up to `most` that have up to `size` in all;
    one that is larger than that stands alone.
    """
    portion: list[One] = []
    total = 0
    for one, own in everything:
        if portion and (len(portion) == most or total + own > size):
            yield portion
            portion, total = [], 0
        portion.append(one)
        total += own
    if portion:
        yield portion
