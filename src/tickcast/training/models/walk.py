"""LightGBM's trees as arrays, and a kernel that walks them for one row: the library's numbers without its way to C.

Its own prepared call for single rows takes several times as long, and may not be shared between threads. The rules are
those of LightGBM's `Tree::NumericalDecision`; a test holds the bits to the library's, with values that are missing,
zero and infinite among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tickcast.errors import BundleError
from tickcast.kernels import inline, kernel
from tickcast.training.contract import F8

_DEFAULT_LEFT, _ZERO, _NAN = 2, 1, 2


class Walk(NamedTuple):
    """All nodes of all trees; a leaf is a node that leads to itself. Trees of like depth stand side by side."""

    feature: NDArray[np.int32]
    threshold: F8
    unknown: NDArray[np.int32]
    """Whether a missing value goes to the right."""
    child: NDArray[np.int32]
    """Of node `n` the left one at 2n, the right one behind it."""
    value: F8
    """Of leaves."""
    roots: NDArray[np.int32]
    """Where each tree begins, the deepest first."""
    depth: NDArray[np.int32]
    place: NDArray[np.int32]
    """Which tree that is: what they give is added up in the order of LightGBM."""
    given: F8
    """Room for what each tree gives."""


@inline
def _down(row: F8, walk: Walk, node: int) -> int:
    """One step; the way is computed, not branched on, since no processor can foresee which way a row goes."""
    value = row[walk.feature[node]]
    right = np.int32(value > walk.threshold[node]) | (np.int32(value != value) & walk.unknown[node])
    return int(walk.child[2 * node + right])


@kernel
def margin(row: F8, walk: Walk) -> float:
    """The sum of the leaves that a row falls into.

    Four trees are walked at once: each step of one waits for memory, and the others use that time.
    """
    roots, place, given, trees = walk.roots, walk.place, walk.given, len(walk.roots)
    fours = trees - trees % 4
    for at in range(0, fours, 4):
        a, b, c, d = roots[at], roots[at + 1], roots[at + 2], roots[at + 3]
        for _ in range(walk.depth[at]):
            a, b = _down(row, walk, a), _down(row, walk, b)
            c, d = _down(row, walk, c), _down(row, walk, d)
        given[place[at]], given[place[at + 1]] = walk.value[a], walk.value[b]
        given[place[at + 2]], given[place[at + 3]] = walk.value[c], walk.value[d]
    for at in range(fours, trees):
        a = roots[at]
        for _ in range(walk.depth[at]):
            a = _down(row, walk, a)
        given[place[at]] = walk.value[a]
    total = 0.0
    for one in given:
        total += one
    return total


@kernel
def chance(row: F8, walk: Walk) -> float:
    """The margin as a probability, as LightGBM computes it."""
    return 1.0 / (1.0 + math.exp(-margin(row, walk)))


def single_row(walk: Walk, *, raw: bool) -> Callable[[F8], float]:
    """A function of one row (of float64, without gaps in memory), for one thread."""
    own = walk._replace(given=np.zeros(len(walk.roots)))
    if raw:
        return lambda row: margin(row, own)
    return lambda row: chance(row, own)


def read_walk(text: str) -> Walk:
    """The trees of LightGBM's text, or BundleError where they are of a kind that we never make."""
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ("split_feature", "threshold", "decision_type")}
    children: list[NDArray[np.float64]] = []
    leaves: list[NDArray[np.float64]] = []
    roots: list[int] = []
    nodes = count = 0
    body = text.partition("\nend of trees\n")[0]
    for block in body.split("\nTree=")[1:]:
        told = dict(line.split("=", 1) for line in block.splitlines()[1:] if "=" in line)
        own, inner = _numbers(told["leaf_value"]), int(told["num_leaves"]) - 1
        if told.get("is_linear", "0") != "0" or told.get("num_cat", "0") != "0":
            raise BundleError("lightgbm.txt", "has trees of another kind than ours", "take another version")
        if inner:
            for name, found in parts.items():
                found.append(_numbers(told[name]))
            both = np.stack([_numbers(told["left_child"]), _numbers(told["right_child"])])
            children.append(np.where(both >= 0, both + nodes, both - count))
        roots.append(nodes if inner else -1 - count)
        leaves.append(own)
        nodes, count = nodes + inner, count + len(own)
    joined = {name: np.concatenate(found or [np.empty(0)]) for name, found in parts.items()}
    both = np.concatenate(children or [np.empty((2, 0))], axis=1)
    kinds = joined["decision_type"].astype(np.int64)
    missing, threshold = kinds >> 2 & 3, joined["threshold"]
    if (missing == _ZERO).any():
        raise BundleError("lightgbm.txt", "has trees of another kind than ours", "take another version")
    default_right = kinds & _DEFAULT_LEFT == 0
    unknown = np.where(missing == _NAN, default_right, threshold < 0.0)  # where it is none of both it counts as zero
    both = np.where(both >= 0, both, nodes - 1 - both)
    begins = np.array([root if root >= 0 else nodes - 1 - root for root in roots], dtype=np.int64)
    ends = np.tile(np.arange(nodes, nodes + count), (2, 1))
    child = np.concatenate([both, ends], axis=1).T.astype(np.int32).ravel()
    deep = np.array([_depth(int(root), child, nodes) for root in begins], dtype=np.int32)
    order = np.argsort(-deep, kind="stable").astype(np.int32)
    nothing = np.zeros(count)
    return Walk(
        feature=np.concatenate([joined["split_feature"], nothing]).astype(np.int32),
        threshold=np.concatenate([threshold, nothing]),
        unknown=np.concatenate([unknown, nothing]).astype(np.int32),
        child=child,
        value=np.concatenate([np.zeros(nodes), *leaves]),
        roots=begins[order].astype(np.int32),
        depth=deep[order],
        place=order,
        given=np.zeros(len(roots)),
    )


def _depth(root: int, child: NDArray[np.int32], nodes: int) -> int:
    """How many steps it is to the farthest leaf."""
    front, depth = [root], 0
    while inner := [node for node in front if node < nodes]:
        front, depth = [int(child[2 * node + side]) for node in inner for side in (0, 1)], depth + 1
    return depth


def _numbers(text: str) -> NDArray[np.float64]:
    return np.array(text.split(), dtype=np.float64)
