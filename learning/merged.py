"""Several boosters in one: a call costs more than its trees, so six members answer a row almost as fast as one.

LightGBM's text is taken apart into trees and put together as one model with a column of raw scores for each member. The trees of
a member are summed in the order they had, so that its scores stay the same to the last bit.
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

import lightgbm
import numpy as np

from learning.rows import Floats

_EMPTY: Final = "num_leaves=1\nnum_cat=0\nleaf_value=0\nis_linear=0\nshrinkage=1\n"
"""A tree that adds nothing, for the members with fewer rounds."""
_END: Final = "end of trees"
_LEFT_OUT: Final = ("tree_sizes=", "objective=")
_PROBES: Final = (0.0, np.nan, 1.0, -1e9, 1e9)


def merged(texts: Sequence[str]) -> lightgbm.Booster | None:
    """A booster whose raw scores have shape (n, members); None where that can't be had, or differs from the members by a bit.

    Each member has one raw score a row. Raises: LightGBMError (a member that can't be read).
    """
    if len(texts) < 2 or any("\naverage_output\n" in text or f"\n{_END}" not in text for text in texts):  # noqa: PLR2004 - one needs nothing
        return None
    try:
        whole = lightgbm.Booster(model_str=_merged(texts))
    except lightgbm.basic.LightGBMError:
        return None
    probes = np.stack([np.full(whole.num_feature(), value) for value in _PROBES])
    apart = np.stack([raw(lightgbm.Booster(model_str=text), probes) for text in texts], axis=1)
    return whole if np.array_equal(raw(whole, probes), apart) else None


def raw(booster: lightgbm.Booster, matrix: Floats) -> Floats:
    """Raw scores on one thread."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=1), dtype=np.float64)


def _merged(texts: Sequence[str]) -> str:
    rounds = zip_longest(*map(_trees, texts), fillvalue=_EMPTY)
    trees = [tree for trees in rounds for tree in trees]
    body = "\n\n".join(f"Tree={number}\n{tree}" for number, tree in enumerate(trees))
    return f"{_head(texts[0], len(texts))}\n\n{body}\n\n{_END}\n"


def _trees(text: str) -> list[str]:
    """Each tree without its number."""
    body = text[: text.index(f"\n{_END}")]
    return [part.partition("\n")[2].rstrip("\n") + "\n" for part in body.split("\nTree=")[1:]]


def _head(text: str, members: int) -> str:
    counts = {"num_class": members, "num_tree_per_iteration": members}
    lines = [line for line in text.partition("\nTree=")[0].rstrip("\n").split("\n") if not line.startswith(_LEFT_OUT)]
    return "\n".join(f"{name}={counts[name]}" if (name := line.partition("=")[0]) in counts else line for line in lines)
