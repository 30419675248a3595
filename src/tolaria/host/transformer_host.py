"""A small language model with slots: a decoder that reads tokens and says of each place what comes next."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from tolaria.errors import ConfigError
from tolaria.host.block_host import BlockHost
from tolaria.host.blueprints.causal_attention import CausalAttention
from tolaria.host.randomness import seeded

# Of embeddings, and so of the head that shares them: a fresh host is about as good as chance (Radford et al. 2019).
EMBEDDING_DEVIATION = 0.02
FEEDFORWARD_FACTOR = 4


class Embedding(nn.Module):
    """Tokens [B, T] to features [B, T, C]: what a token is, plus where it stands."""

    def __init__(self, vocabulary: int, context: int, width: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(context, width)
        for table in (self.tokens, self.places):
            nn.init.normal_(table.weight, std=EMBEDDING_DEVIATION)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Raises `ConfigError` for a sequence that is longer than there are places."""
        if x.shape[1] > self.places.num_embeddings:
            raise ConfigError("host.context", x.shape[1], f"sequences of at most {self.places.num_embeddings} tokens")
        features: torch.Tensor = self.tokens(x) + self.places.weight[: x.shape[1]]
        return features


class TransformerBlock(nn.Module):
    """Attention to the tokens before, then two linear layers, each added to what came in; normalised before, not after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = CausalAttention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, FEEDFORWARD_FACTOR * width)
        self.narrow = nn.Linear(FEEDFORWARD_FACTOR * width, width)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """[B, T, C] to the same shape."""
        h = h + self.attention(h)
        added: torch.Tensor = self.narrow(F.gelu(self.wide(self.norm(h))))
        return h + added


class TokenHead(nn.Module):
    """Normalisation, then the similarity with every token's embedding: the linear layer shares its weight with the embedding."""

    def __init__(self, tokens: nn.Embedding) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(tokens.embedding_dim)
        self.linear = nn.Linear(tokens.embedding_dim, tokens.num_embeddings)
        nn.init.zeros_(self.linear.bias)
        self.linear.weight = tokens.weight

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """[B, T, C] to logits [B, T, K]."""
        logits: torch.Tensor = self.linear(self.norm(h))
        return logits


class TransformerHost(BlockHost):
    """`depth` blocks of one width; a slot after each, unless `slots` names fewer. The first block also embeds the tokens.

    Weights come from `seed` alone. There is no dropout: it would draw from the one generator that all hosts share.
    """

    def __init__(
        self,
        vocabulary: int,
        context: int,
        width: int,
        depth: int,
        heads: int,
        *,
        seed: int,
        slots: Sequence[str] | None = None,
    ) -> None:
        sizes = (("vocabulary", vocabulary), ("context", context), ("width", width), ("depth", depth), ("heads", heads))
        for name, found in sizes:
            if found < 1:
                raise ConfigError(f"host.{name}", found, "at least 1")
        if width % heads:
            raise ConfigError("host.heads", heads, f"a divisor of the width {width}")
        with seeded(seed):
            embedding = Embedding(vocabulary, context, width)
            blocks: list[nn.Module] = [TransformerBlock(width, heads) for _ in range(depth)]
            head = TokenHead(embedding.tokens)
        blocks[0] = nn.Sequential(embedding, blocks[0])
        super().__init__(blocks, [width] * depth, head, "transformer", [f"s{i}" for i in range(depth)] if slots is None else slots)
