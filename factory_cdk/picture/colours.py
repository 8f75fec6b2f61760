"""Colours of regions: dark enough to read on white, and distinct for people who see fewer colours (Okabe and Ito)."""

from __future__ import annotations

from collections.abc import Iterable

from factory_cdk.picture.model import HERE

_REGIONS = ("#0072b2", "#c2570c", "#00805f", "#a8457f", "#8a6d00", "#5b5fc7", "#7a4a2b", "#4d7c0f")
_HERE = "#57606a"


def colours_of(regions: Iterable[str]) -> dict[str, str]:
    """A colour for every region, in their order; this machine is always grey."""
    aws = [region for region in regions if region != HERE]
    return {HERE: _HERE, **{region: _REGIONS[index % len(_REGIONS)] for index, region in enumerate(aws)}}
