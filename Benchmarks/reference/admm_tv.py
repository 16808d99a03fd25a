"""ADMM-TV in PyTorch: total variation over time and space as the only prior, the classical baseline of the paper.

    python Benchmarks/reference/admm_tv.py --truth clip.mp4 --task deblur+ --frames 9 --size 64x96

measures the clip, restores it, and prints objective and PSNR after every outer iteration.

    minimise F(X) = 1/2 |Y - A X|^2 + lambda |D X|_1 over X in units of [-1, 1]

D are the forward differences over t, h and w, each on its own (anisotropic), zero at the last index. With rho = 1, lambda = 1e-3 and
X = z = u = 0 at the start, 30 times (Boyd et al., "Distributed optimization and statistical learning via ADMM", 2011, section 6.4.1):

    X <- 20 steps of conjugate gradients on (A'A + rho D'D) X = A'Y + rho D'(z - u), from the last X
    z <- soft threshold of D X + u by lambda / rho
    u <- u + D X - z
"""

import argparse
import math

import media
import operators
import torch


def differences(x):
    """D x: three videos, over t, h and w."""
    return torch.stack([torch.diff(x, dim=axis, append=x.narrow(axis, x.shape[axis] - 1, 1)) for axis in (0, 2, 3)])


def differences_adjoint(z):
    """D'z: what a pixel gets as the later one of a pair, less what it gets as the earlier one."""
    result = torch.zeros_like(z[0])
    for part, axis in zip(z, (0, 2, 3)):
        pairs = part.narrow(axis, 0, part.shape[axis] - 1)
        result.narrow(axis, 1, pairs.shape[axis]).add_(pairs)
        result.narrow(axis, 0, pairs.shape[axis]).sub_(pairs)
    return result


def objective(A, Y, X, weight):
    """F(X), summed in float64."""
    misfit = (Y - A.apply(X)).double().square().sum() / 2
    return float(misfit + weight * differences(X).double().abs().sum())


def conjugate_gradients(B, b, x, steps):
    """`steps` of the method of conjugate gradients for B x = b from x, B symmetric and positive."""
    r = b - B(x)
    p = r
    rr = float((r * r).sum())
    rounding = torch.finfo(b.dtype).eps * float(b.norm())
    for _ in range(steps):
        if math.sqrt(rr) <= rounding:
            break
        q = B(p)
        step = rr / float((p * q).sum())
        x = x + step * p
        r = r - step * q
        before, rr = rr, float((r * r).sum())
        p = r + rr / before * p
    return x


def restore(A, Y, weight=1e-3, rho=1.0, iterations=30, steps=20, each_iteration=None):
    """X from Y = A(X). each_iteration(number, X) sees every outer iteration, from 1."""
    X = torch.zeros_like(A.adjoint(Y))
    z = torch.zeros_like(differences(X))
    u = torch.zeros_like(z)
    AtY = A.adjoint(Y)
    normal = lambda x: A.adjoint(A.apply(x)) + rho * differences_adjoint(differences(x))
    for number in range(1, iterations + 1):
        X = conjugate_gradients(normal, AtY + rho * differences_adjoint(z - u), X, steps)
        DX = differences(X)
        z = torch.nn.functional.softshrink(DX + u, weight / rho)
        u = u + DX - z
        if each_iteration:
            each_iteration(number, X)
    return X


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", required=True, help="a video, a folder of PNG pictures or a .safetensors file")
    parser.add_argument("--task", required=True, choices=operators.TASKS)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--first", type=int, default=0, help="the first frame's number")
    parser.add_argument("--size", help="HxW, to shrink the frames to by averaging")
    parser.add_argument("--mask-seed", type=int, default=0)
    parser.add_argument("--lambda", type=float, default=1e-3, dest="weight")
    parser.add_argument("--rho", type=float, default=1.0)
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--cg-steps", type=int, default=20)
    parser.add_argument("--double", action="store_true", help="float64")
    parser.add_argument("--output", help="a folder for PNG pictures, or a .safetensors file")
    arguments = parser.parse_args()

    size = [int(side) for side in arguments.size.split("x")] if arguments.size else None
    truth = media.read(arguments.truth, arguments.frames, size, arguments.first)
    truth = truth.double() if arguments.double else truth
    A = operators.of_task(arguments.task, *truth.shape[2:], arguments.mask_seed)
    Y = A.apply(truth)
    print(f"0 objective {objective(A, Y, torch.zeros_like(truth), arguments.weight):.6f}")

    def tell(number, X):
        print(f"{number} objective {objective(A, Y, X, arguments.weight):.6f} PSNR {media.psnr(X, truth):.4f} dB", flush=True)

    X = restore(A, Y, arguments.weight, arguments.rho, arguments.iterations, arguments.cg_steps, tell)
    if arguments.output:
        media.write(X.float(), arguments.output)


if __name__ == "__main__":
    main()
