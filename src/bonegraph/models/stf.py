"""STF: *To-a-T Spatio-Temporal Focus for Skeleton-Based Action Recognition*.

Ke, Peng and Lyu, AAAI 2022. MS-G3D with graphs that depend on the clip. The losses that make its embeddings look where
Grad-CAM looks are in `bonegraph.objectives.focus`; any model may have them.

    Eq. 1       Σ_k W_k X (A_k + G_k)                            ``extra`` in `bonegraph.models.msg3d`
    Fig. 2 (d)  embedding β(X), frames x joints                  `FocusGraph.embed`
    Fig. 2 (d)  G_k = α_k(β(X))                                  `FocusGraph.forward`
    Fig. 2      six modules, two in each block of MS-G3D         `STF`

Departs from the paper:
    the text gives neither the sizes of α and β nor how any number of frames comes to a convolution of a fixed size;
    docs/adr/0006 has our choices. The scales are those of the backbone, so that its trained weights load;
    ``cumulative`` scales are the text's. α ends in zeros, so that the network starts as its backbone.

Axes: N clips, C channels, T frames, V joints, M people, K scales, B bins of frames, R people as rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from bonegraph.features import Shift, hide
from bonegraph.graph import Floats
from bonegraph.models import msg3d
from bonegraph.models.msg3d import MSG3D, Frames
from bonegraph.models.stgcn import TemporalConvolution, Width, initialise
from bonegraph.skeleton import Skeleton


@dataclass(frozen=True)
class Config(msg3d.Config):
    """Every choice of an STF; those of its MS-G3D first.

    Args:
        embed_channels: of the two hidden layers of β.
        embed_kernel: frames that β looks at, odd.
        bins: B, numbers of a joint that α reads, each the mean of an equal share of the frames.
        graph_channels: of the hidden layer of α.

    Raises:
        ValueError: numbers that fit no network.
    """

    embed_channels: int = 16
    embed_kernel: int = 9
    bins: int = 16
    graph_channels: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.embed_channels, self.bins, self.graph_channels) < 1:
            raise ValueError(
                f"embed_channels {self.embed_channels}, bins {self.bins} and graph_channels {self.graph_channels} must "
                "be at least 1."
            )
        if self.embed_kernel < 1 or self.embed_kernel % 2 == 0:
            raise ValueError(f"embed_kernel must be odd, so that a frame is its centre; got {self.embed_kernel}.")


def paper(width: Width = "full", in_channels: int = 4) -> Config:
    """The network of the text as far as it says: K = 3 cumulative scales, positions and visibility, two people."""
    widths = msg3d.released(width).widths
    return Config(in_channels=in_channels, widths=widths, gcn_scales=3, g3d_scales=3, cumulative=True, people=2)


def best(width: Width = "full", in_channels: int = 3) -> Config:
    """What we recommend: on the scales of MS-G3D, whose trained weights it starts from, for any number of people."""
    return on(msg3d.best(width, in_channels))


def on(config: msg3d.Config) -> Config:
    """An STF that starts from an MS-G3D."""
    return Config(**{field.name: getattr(config, field.name) for field in fields(config)})


def backbone(config: Config) -> msg3d.Config:
    """The MS-G3D that an STF starts from."""
    return msg3d.Config(**{field.name: getattr(config, field.name) for field in fields(msg3d.Config)})


def bin_weights(frames: Bool[Tensor, "r t"], bins: int) -> Float[Tensor, "r b t"]:
    """Weights that bring the frames that count to B bins, each the mean of an equal share of them.

    A frame on the border of two bins is shared between them, so that any number of frames gives B bins, and a bin of a
    person with fewer frames than bins is a frame or a mixture of two. A person without frames has zeros.
    """
    count = frames.sum(dim=1, keepdim=True).to(torch.get_default_dtype())
    rank = frames.cumsum(dim=1) - 1
    share = count / bins
    edges = torch.arange(bins + 1, device=frames.device) * share  # r b+1, in frames
    rank = rank[:, None]
    overlap: Tensor = torch.minimum(rank + 1, edges[:, 1:, None]) - torch.maximum(rank, edges[:, :-1, None])
    weights: Tensor = overlap.clamp(min=0) * frames[:, None] / share.clamp(min=1e-9)[:, :, None]
    return weights


class FocusGraph(nn.Module):
    """Embedding and graphs of one path of a block: β, three convolutions and a sigmoid, and α, two convolutions.

    Args:
        in_channels: C of what the block takes.
        config: sizes.
        num_joints: V.
        subsets: K of the path.
    """

    def __init__(self, in_channels: int, config: Config, num_joints: int, subsets: int) -> None:
        super().__init__()
        hidden, self.bins, self.subsets = config.embed_channels, config.bins, subsets
        self.reduce = nn.Conv2d(in_channels, hidden, 1)
        self.reduce_norm = nn.BatchNorm2d(hidden)
        self.look = TemporalConvolution(hidden, hidden, config.embed_kernel)
        self.look_norm = nn.BatchNorm2d(hidden)
        self.score = nn.Conv2d(hidden, 1, 1)
        self.mix = nn.Conv1d(config.bins, config.graph_channels, 1)
        self.link = nn.Conv1d(config.graph_channels, subsets * num_joints, 1)

    def embed(
        self, x: Float[Tensor, "r c t v"], frames: Frames | None = None, shift: Shift | None = None
    ) -> Float[Tensor, "r t v"]:
        """β(X) in (0, 1); 0 in frames that do not count."""
        x = self.reduce(x)
        if shift is not None:
            added = functional.linear(shift.by, self.reduce.weight[:, :, 0, 0])
            x = x + hide(added[:, :, None, None], shift.frames)
        x = hide(functional.relu(self.reduce_norm(x)), frames)
        x = functional.relu(self.look_norm(self.look(x)))
        score: Tensor = self.score(x)
        return hide(score.sigmoid(), frames)[:, 0]

    def forward(self, embedding: Float[Tensor, "r t v"], frames: Frames | None = None) -> Float[Tensor, "r k v w"]:
        """G_k[source, target] of each person: α_k(β(X)), on B numbers a joint."""
        if frames is None:
            frames = torch.ones_like(embedding[:, :, 0], dtype=torch.bool)
        binned = bin_weights(frames, self.bins).to(embedding.dtype) @ embedding
        linked: Tensor = self.link(functional.relu(self.mix(binned)))
        return rearrange(linked, "r (k v) w -> r k v w", k=self.subsets)


class STF(MSG3D):
    """The network: an MS-G3D whose blocks add graphs of their own for each person.

    Its weights are those of an MS-G3D and, under ``focus``, those of the six modules.

    Args:
        config: `paper`, `best` or your own.
        skeleton: any skeleton.
        num_classes: at least 1.
        distances: not used; every model takes them.

    Shapes:
        (N, C, T, V, M) and visible (N, T, V, M) -> (N, num_classes). Any N and T; any M, or at most ``config.people``.
    """

    def __init__(self, config: Config, skeleton: Skeleton, num_classes: int, distances: Floats | None = None) -> None:
        super().__init__(config, skeleton, num_classes, distances)
        inputs = (config.in_channels, *config.widths[:-1])
        paths = (config.gcn_scales, config.g3d_scales) if config.windows else (config.gcn_scales,)
        self.focus = nn.ModuleList(
            nn.ModuleList(FocusGraph(before, config, skeleton.num_joints, subsets) for subsets in paths)
            for before in inputs
        )
        initialise(self.focus)
        for module in self.focus.modules():
            if isinstance(module, FocusGraph):
                nn.init.zeros_(module.link.weight)
                assert module.link.bias is not None
                nn.init.zeros_(module.link.bias)

    def _own_graphs(
        self, index: int, x: Float[Tensor, "r c t v"], frames: Frames | None, shift: Shift | None
    ) -> Iterator[tuple[Float[Tensor, "r t v"], Float[Tensor, "r k v w"]]]:
        """β(X) and G of both paths of a block."""
        for module in self.focus[index].children():
            assert isinstance(module, FocusGraph)
            embedding = module.embed(x, frames, shift)
            yield embedding, module(embedding, frames)
