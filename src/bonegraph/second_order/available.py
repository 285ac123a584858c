"""Whether the torch that is installed has what the fast gradients of gradients call."""

from __future__ import annotations

import functools
import logging

import torch

from bonegraph.second_order.norm import gradients
from bonegraph.second_order.products import ConvolutionProducts, Steps

_log = logging.getLogger(__name__)


@functools.cache
def available() -> bool:
    """Whether this torch has the passes back through a convolution and a batch normalisation as we call them.

    Their names in `torch.ops.aten` are no promise of torch's; without them gradients of gradients are left to torch,
    which is the same at a higher cost, and said in the log.
    """
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        x, one = torch.arange(4.0).view(2, 1, 2, 1), torch.ones(1)
        try:
            _, mean, scale = torch.native_batch_norm(x, one, one, None, None, True, 0.1, 1e-5)
            gx = gradients(x, x, one, mean, scale, 1e-5)[0]
            two = x[1:, :, :1]
            products = ConvolutionProducts(Steps((1, 1), (0, 0), (1, 1)), torch.contiguous_format, x.shape, two.shape)
            back = products.to_first(x, two), products.to_second(x, x)
            fine = gx.shape == x.shape and torch.equal(back[0], 2 * x) and back[1].item() == 14
        except (AttributeError, RuntimeError, TypeError, IndexError):
            fine = False
    if not fine:
        _log.warning("this torch lacks what fast gradients of gradients call; torch's own way is taken: slower.")
    return fine
