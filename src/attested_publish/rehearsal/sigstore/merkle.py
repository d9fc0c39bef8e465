"""The Merkle tree of RFC 6962 (2.1): append entries, and prove that they are included."""

from __future__ import annotations

import hashlib


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry in the tree."""
    return hashlib.sha256(b"\0" + entry).digest()


class Tree:
    """An append-only tree with SHA-256.

    Every complete subtree is hashed once, when its last leaf is added, so that appending takes
    a constant number of hashes, and a root or proof the square of the tree's height.
    """

    def __init__(self) -> None:
        # _levels[k][i] is the hash of the leaves i * 2**k to (i + 1) * 2**k.
        self._levels: list[list[bytes]] = [[]]

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add an entry, given as its `leaf_hash`."""
        level, node = 0, leaf
        self._levels[0].append(node)
        while len(self._levels[level]) % 2 == 0:
            node = _parent(*self._levels[level][-2:])
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)

    def root(self) -> bytes:
        """Return the hash of the whole tree."""
        return self._hash(0, len(self)) if len(self) else hashlib.sha256(b"").digest()

    def proof(self, index: int) -> list[bytes]:
        """Return the audit path of leaf `index` in the whole tree (2.1.1), from the leaf up."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        path: list[bytes] = []
        start, size = 0, len(self)
        while size > 1:
            left = _largest_power_below(size)
            if index < start + left:
                path.append(self._hash(start + left, size - left))
                size = left
            else:
                path.append(self._hash(start, left))
                start, size = start + left, size - left
        return path[::-1]

    def _hash(self, start: int, size: int) -> bytes:
        # `start` is a multiple of the power of two that `size` is or is reduced to.
        if size.bit_count() == 1:
            level = size.bit_length() - 1
            return self._levels[level][start >> level]
        left = _largest_power_below(size)
        return _parent(self._hash(start, left), self._hash(start + left, size - left))


def _parent(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _largest_power_below(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)
