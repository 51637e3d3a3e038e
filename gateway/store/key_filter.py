"""Tells, without looking at the disk, which old generations cannot hold a de-dup key.

One Bloom filter for each of up to 16 generations, laid side by side: bit `g` of a word belongs to generation slot `g`,
so one look at a few words answers for all of them. The writer thread asks; one other thread fills. What is not filled
yet is not asked.
"""

import zlib
from array import array
from collections.abc import Iterable
from struct import Struct
from sys import byteorder
from typing import Final

SLOTS: Final = 16
WORDS_PER_KEY: Final = 12
WORDS_MIN: Final = 1 << 12
CHUNK: Final = 1 << 15
_HASHES: Final = Struct(">4I")
_SIZE: Final = Struct("=Q")
"""In the machine's own byte order: on a machine of another order a kept filter has an absurd size and is built anew."""
_OFFSET: Final = 4
"""A key begins with the number of its source; the digest after it is four hashes as it stands."""


def words_for(keys: int, most_bytes: int) -> int:
    """Give the number of words, a power of two, for generations of `keys` keys, within `most_bytes` of memory."""
    words = WORDS_MIN
    while words < keys * WORDS_PER_KEY and words * 4 <= most_bytes:
        words *= 2
    return words


class KeyFilter:
    """The filters of all sealed generations that have a slot."""

    def __init__(self) -> None:
        self._words = array("H", bytes(2 * WORDS_MIN))
        self._slots: dict[int, int] = {}
        self.ready: dict[int, int] = {}
        """Generations that may be asked: number → its bit."""

    def candidates(self, key: bytes) -> int:
        """Give the bits of the generations that may hold `key`; those of `ready` that are missing do not hold it."""
        words = self._words
        last = len(words) - 1
        one, two, three, four = _HASHES.unpack_from(key, _OFFSET)
        bits: int = words[one & last] & words[two & last] & words[three & last] & words[four & last]
        return bits

    def begin(self, number: int, words: int) -> bool:
        """Make room for the filter of generation `number`; False if no slot is free: it is then always looked up."""
        free = set(range(SLOTS)) - set(self._slots.values())
        if number not in self._slots and not free:
            return False
        self._slots.setdefault(number, min(free, default=0))
        if words > len(self._words):
            self._words *= words // len(self._words)  # repeated, every filter answers as before
        return True

    def add(self, number: int, keys: Iterable[bytes]) -> None:
        """Fill in `keys` of generation `number`."""
        words, bit = self._words, 1 << self._slots[number]
        last = len(words) - 1
        for key in keys:
            for place in _HASHES.unpack_from(key, _OFFSET):
                words[place & last] |= bit

    def finish(self, number: int) -> None:
        """Generation `number` is filled: it may be asked."""
        self.ready = {**self.ready, number: 1 << self._slots[number]}

    def forget(self, number: int) -> None:
        """Generation `number`, which was begun or restored, has expired: free its slot."""
        self.ready = {known: bit for known, bit in self.ready.items() if known != number}
        self._mask(~(1 << self._slots.pop(number)) & 0xFFFF)

    def dump(self, number: int) -> bytes:
        """Give the filter of one generation, to be kept."""
        slot = self._slots[number]
        pack = zlib.compressobj(1)
        pieces = [_SIZE.pack(len(self._words))]
        for start in range(0, len(self._words), CHUNK):
            chunk = self._words[start : start + CHUNK]
            bits = int.from_bytes(chunk.tobytes(), byteorder) >> slot & _pattern(1, len(chunk))
            pieces.append(pack.compress(bits.to_bytes(2 * len(chunk), byteorder)))
        return b"".join([*pieces, pack.flush()])

    def restore(self, number: int, kept: bytes, most_bytes: int) -> bool:
        """Take a kept filter over; False if it does not fit the memory, or there is no slot."""
        (size,) = _SIZE.unpack_from(kept)
        if size * 2 > max(most_bytes, 2 * WORDS_MIN) or not self.begin(number, size):
            return False
        slot, unpack = self._slots[number], zlib.decompressobj()
        filled = unpack.decompress(kept[_SIZE.size :]) * (len(self._words) // size)
        for start in range(0, len(self._words), CHUNK):
            chunk = self._words[start : start + CHUNK]
            bits = int.from_bytes(filled[2 * start : 2 * (start + len(chunk))], byteorder) << slot
            self._set(start, len(chunk), int.from_bytes(chunk.tobytes(), byteorder) | bits)
        return True

    def _mask(self, mask: int) -> None:
        for start in range(0, len(self._words), CHUNK):
            chunk = self._words[start : start + CHUNK]
            self._set(start, len(chunk), int.from_bytes(chunk.tobytes(), byteorder) & _pattern(mask, len(chunk)))

    def _set(self, start: int, count: int, bits: int) -> None:
        chunk = array("H")
        chunk.frombytes(bits.to_bytes(2 * count, byteorder))
        self._words[start : start + count] = chunk


def _pattern(word: int, count: int) -> int:
    return int.from_bytes(word.to_bytes(2, byteorder) * count, byteorder)
