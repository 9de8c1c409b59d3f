"""Multi-perspective visual projection, after EmoLLM: several learned views of a picture's patches, joined into one.

    patches --> objects:    each patch by itself ----------------------------------+
            --> people:     a few queries gather patches, the patches read them ---+--> joined, added to the patches
            --> relations:  each patch reads all others ---------------------------+

EmoLLM's code is not public; the three views and how they are joined are this package's reading of its description. No
view is told what it shall see: names say what its form is made for.
"""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import initialization as init

from .attention import MultiHeadAttention
from .configuration_microemo import MicroEmoQFormerConfig
from .heads import ZeroLinear

NUM_PEOPLE = 4  # queries that gather patches


class MultiPerspectiveProjection(nn.Module):
    """Patches (M, P, C) -> patches of the same shape; the same patches until it has been trained.

    It can therefore be added to a trained model, whose outputs it does not change.
    """

    def __init__(self, config: MicroEmoQFormerConfig):
        super().__init__()
        width = config.hidden_size
        self.project = nn.Linear(config.encoder_hidden_size, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.objects = nn.Linear(width, width)
        self.people_queries = nn.Parameter(torch.empty(1, NUM_PEOPLE, width))
        self.gather_people = MultiHeadAttention(config)
        self.read_people = MultiHeadAttention(config)
        self.relations = MultiHeadAttention(config)
        self.join = ZeroLinear(3 * width, config.encoder_hidden_size, bias=False)

    def reset_queries(self, std: float) -> None:
        """Draws the queries anew."""
        init.normal_(self.people_queries, mean=0.0, std=std)

    def views(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Objects, people and relations of patches (M, P, C), each (M, P, D)."""
        states = self.norm(self.project(patches))
        people = self.gather_people(self.people_queries.expand(len(states), -1, -1), states)
        return F.gelu(self.objects(states)), self.read_people(states, people), self.relations(states, states)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        return patches + self.join(torch.cat(self.views(patches), dim=-1))
