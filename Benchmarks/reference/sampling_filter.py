"""The filters of Sources/InverseProblems/Algebra/SamplingFilter.swift, by another way: in one dimension after the other where weights are
separable, with NumPy's own solver.

    python sampling_filter.py     prints the ten taps by (|dy|, |dx|), for means of blocks and other ways of shrinking
"""

import numpy as np

ORBITS = [(a, b) for a in range(4) for b in range(a, 4)]


def keys(t):
    t = np.abs(t)
    return np.where(t < 1, 1.5 * t**3 - 2.5 * t**2 + 1, np.where(t < 2, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2, 0))


def weights(kind, factor):
    """Places around a small pixel's middle, in large pixels, and what each counts for."""
    places = np.arange(-8 * factor, 8 * factor) + (0.5 if factor % 2 == 0 else 0.0)
    t = places / factor
    shapes = {
        "means": np.abs(t) < 0.5,
        "bilinear": np.maximum(0, 1 - np.abs(t)),
        "bicubic": keys(t),
        "lanczos": np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0),
        # A Gaussian of 1.5 large pixels, then means.
        "blur 1.5, means": sum(np.exp(-0.5 * ((places - offset) / 1.5) ** 2) for offset in np.arange(factor) - (factor - 1) / 2),
    }
    values = shapes[kind].astype(float)
    return places, values / values.sum()


def taps(kind, factor):
    length = 32 * factor
    frequencies = np.fft.fftfreq(length)

    def response(name):
        places, values = weights(name, factor)
        return np.cos(2 * np.pi * np.outer(frequencies, places)) @ values

    own, target = response(kind), response("bicubic")
    square = np.add.outer(frequencies**2, frequencies**2)
    power = np.divide(1, square, out=np.zeros_like(square), where=square > 0)
    lags = np.cos(2 * np.pi * factor * np.outer(np.arange(7), frequencies))
    correlation = lags @ (power * np.outer(own**2, own**2)) @ lags.T
    cross = lags @ (power * np.outer(own * target, own * target)) @ lags.T
    places = [(y, x) for y in range(-3, 4) for x in range(-3, 4)]
    # Each of the 49 taps is one of the ten.
    pick = np.array([[tuple(sorted((abs(y), abs(x)))) == orbit for orbit in ORBITS] for y, x in places], float)
    whole = np.array([[correlation[abs(a - c), abs(b - d)] for c, d in places] for a, b in places])
    right = np.array([cross[abs(y), abs(x)] for y, x in places])
    count = pick.sum(0)
    system = np.block([[pick.T @ whole @ pick, count[:, None]], [count[None], np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(pick.T @ right, 1))[:10]


if __name__ == "__main__":
    print("by (|dy|, |dx|)      " + " ".join(f"     {a}{b}" for a, b in ORBITS))
    for kind, factor in [("means", f) for f in (2, 3, 4, 8)] + [(k, 4) for k in ("bicubic", "bilinear", "lanczos", "blur 1.5, means")]:
        print(f"{kind + f' by {factor}':20s} " + " ".join(f"{value:7.4f}" for value in taps(kind, factor)))
