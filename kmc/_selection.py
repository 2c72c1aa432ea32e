"""Compiled sum tree: draws an entry with probability in proportion to its weight, O(log N).

Four children a node: the three comparisons of a level run side by side, so a draw takes half as many dependent
steps as in a binary tree. A node is summed from its children whenever one of them changes, never corrected by a
difference: no error builds up, and a weight of 1e-3 survives beside one of 1e13 that came and went.

Node `h` of the heap is at ``tree[h + ROOT]``, so that the four children of a node lie in one cache line.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable

# Kernels get their tables whole, as named tuples of arrays. A call that is not inlined would copy them, and counting
# references to every array would cost eight times the physics: both are switched off. Nothing compiled here allocates.
# A `kernel` is called from Python and cached. A `part` or an `inline` is compiled into the kernels that call it,
# without an entry from Python, which costs more to compile than most of them; Python runs it as the Python that it is.
_FREE: dict[str, Any] = {"_nrt": False, "no_cfunc_wrapper": True}
kernel = njit(cache=True, **_FREE)
part = register_jitable(no_cpython_wrapper=True, **_FREE)
inline = register_jitable(forceinline=True, no_cpython_wrapper=True, **_FREE)

ROOT = 3

LINE_BYTES = 64


def aligned(size: int, dtype: Any) -> np.ndarray:
    """Zeros that begin with a cache line, which numpy does not promise."""
    item = np.dtype(dtype).itemsize
    memory = np.zeros(size + LINE_BYTES // item, dtype)
    skip = -memory.ctypes.data % LINE_BYTES // item
    return memory[skip : skip + size]


def levels_for(leaves: int) -> int:
    """Levels below the root that hold so many leaves."""
    levels = 1
    while 4**levels < leaves:
        levels += 1
    return levels


def empty_tree(levels: int) -> np.ndarray:
    """A tree without weights."""
    return aligned(ROOT + (4 ** (levels + 1) - 1) // 3, np.float64)


@inline
def first_leaf(levels):
    """Node of leaf 0."""
    return (4**levels - 1) // 3


@kernel
def set_weight(tree, node, weight):
    """Give a leaf a weight."""
    h = np.uint64(node)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    tree[h + three] = weight
    while h > np.uint64(0):
        k = (h - one) & three
        family = h + three - k
        h = (h - one) >> two
        # the sum of the other three does not wait for the level below
        others = tree[family + (k ^ one)] + (tree[family + (k ^ two)] + tree[family + (k ^ three)])
        weight = others + weight
        tree[h + three] = weight


@inline
def find(tree, levels, x):
    """Node of the leaf in which the running sum of weights passes x, and what is left of x in it.

    0 <= x < tree[ROOT]. By rounding, an x at the very end can meet a leaf of weight 0: draw again.
    """
    h = np.uint64(0)
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    for _ in range(levels):
        family = (h << two) + four
        p1 = tree[family]
        p2 = p1 + tree[family + one]
        p3 = p2 + tree[family + two]
        b1, b2, b3 = x >= p1, x >= p2, x >= p3
        s = 0.0
        s = p1 if b1 else s
        s = p2 if b2 else s
        s = p3 if b3 else s
        x -= s
        h = family - three + np.uint64(b1) + np.uint64(b2) + np.uint64(b3)
    return h, x


@kernel
def sum_up(tree):
    """All sums anew, after leaves were written directly."""
    for h in range((tree.size - 3) // 4 - 1, -1, -1):
        family = 4 * h + 4
        tree[h + 3] = ((tree[family] + tree[family + 1]) + tree[family + 2]) + tree[family + 3]
