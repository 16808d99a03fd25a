"""Muon for the convolutions, AdamW for everything else.

Muon (K. Jordan, 2024) replaces the momentum of a weight matrix by the nearest orthogonal one, found by a few
Newton-Schulz iterations; a short training gets further with it. A convolution counts as a matrix
[outputs, inputs * taps]. Updates are scaled to the size of Adam's (Liu et al., 2025), so one learning rate serves both.
"""

import collections

import torch


def orthogonalise(matrix: torch.Tensor, iterations: int = 5) -> torch.Tensor:
    """Singular values of [..., rows, columns] pushed towards 1 (between about 0.7 and 1.2) by Newton-Schulz iterations.

    Each iteration multiplies X by the polynomial p(X X') from the left. The polynomials commute, so they are gathered
    in a small square matrix and X is touched twice only: three times as fast for a convolution's wide matrix.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    gram, gathered = x @ x.mT, None
    for last in [False] * (iterations - 1) + [True]:
        polynomial = b * gram + c * (gram @ gram)
        polynomial.diagonal(dim1=-2, dim2=-1).add_(a)
        gathered = polynomial if gathered is None else polynomial @ gathered
        if not last:
            gram = polynomial @ gram @ polynomial
    x = gathered @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, with decoupled weight decay.

    Weights of one shape go together: on a GPU an update of so small a network is a matter of how many calls it takes.
    """

    def __init__(self, parameters, lr, momentum=0.95, weight_decay=0.01):
        super().__init__(list(parameters), dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            alike = collections.defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    alike[p.shape].append(p)
            for shape, weights in alike.items():
                self._update(weights, shape, group)

    def _update(self, weights, shape, group):
        for p in weights:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        gradients, velocities = [p.grad for p in weights], [self.state[p]["momentum"] for p in weights]
        torch._foreach_lerp_(velocities, gradients, 1 - group["momentum"])
        matrices = torch.stack([g.lerp(v, group["momentum"]).flatten(1) for g, v in zip(gradients, velocities)])
        updates = orthogonalise(matrices) * (0.2 * max(matrices.shape[1:]) ** 0.5)
        torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(weights, [u.view(shape) for u in updates], alpha=-group["lr"])


def for_network(network, lr: float, muon: bool = True):
    """The optimizers of a network: Muon for inner convolutions, AdamW for the ends, norms, biases and the clock."""
    inner, rest = [], []
    for name, parameter in network.named_parameters():
        convolution = parameter.ndim == 4 and not name.startswith(("conv_in", "conv_out"))
        (inner if muon and convolution else rest).append(parameter)
    made = [torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.99), weight_decay=0.0)]
    if inner:
        made.append(Muon(inner, lr=lr))
    return made
