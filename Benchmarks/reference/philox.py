"""The seeded random numbers of Sources/TensorKit/RandomGenerator.swift, so that both programs draw the same noise.

Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The seed is the key; the counter is
(position, stream), 64 bits each, low words first.
"""

import numpy

MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
WEYL = 0x9E3779B9, 0xBB67AE85
WORD = 0xFFFFFFFF


def blocks(seed, stream, count):
    """The first `count` blocks of a stream: (count, 4) words of 32 bits, held in uint64."""
    position = numpy.arange(count, dtype=numpy.uint64)
    high = numpy.uint64(32)
    word = numpy.uint64(WORD)
    counter = [position & word, position >> high]
    counter += [numpy.full_like(position, stream & WORD), numpy.full_like(position, stream >> 32 & WORD)]
    key = [seed & WORD, seed >> 32 & WORD]
    for _ in range(10):
        first = counter[0] * numpy.uint64(MULTIPLIERS[0])
        second = counter[2] * numpy.uint64(MULTIPLIERS[1])
        counter = [
            (second >> high) ^ counter[1] ^ numpy.uint64(key[0]),
            second & word,
            (first >> high) ^ counter[3] ^ numpy.uint64(key[1]),
            first & word,
        ]
        key = [(k + w) & WORD for k, w in zip(key, WEYL)]
    return numpy.stack(counter, axis=1)


def uniform(seed, stream, count):
    """Numbers of [0, 1), float64: words in order, by 2^-32."""
    return blocks(seed, stream, -(-count // 4)).reshape(-1)[:count].astype(numpy.float64) * 2.0**-32


def normal(seed, stream, shape):
    """Standard normal numbers, float32: every two words make two of them (Box-Muller), cosine first."""
    count = int(numpy.prod(shape))
    pairs = blocks(seed, stream, -(-count // 4)).reshape(-1, 2).astype(numpy.float64)
    radius = numpy.sqrt(-2 * numpy.log((pairs[:, 0] + 1) * 2.0**-32))
    angle = 2 * numpy.pi * pairs[:, 1] * 2.0**-32
    values = numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], axis=1).reshape(-1)
    return values[:count].astype(numpy.float32).reshape(shape)


def permutation(seed, stream, count):
    """0 ... count - 1 in random order: Fisher-Yates from the last place down, the place's own number choosing its partner."""
    partners = (uniform(seed, stream, count) * numpy.arange(1, count + 1)).astype(numpy.int64)
    order = numpy.arange(count)
    for last in range(count - 1, 0, -1):
        other = partners[last]
        order[last], order[other] = order[other], order[last]
    return order
