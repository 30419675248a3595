"""Endless batches in an order that two numbers describe."""

import torch

from tolaria.seeding import derive_seed


class BatchStream:
    """Indices of full batches, epoch after epoch; no sample is dropped where one epoch ends and the next begins.

    The order of an epoch depends on (seed, epoch) alone, so the position (epoch, cursor) is the whole state.
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int) -> None:
        assert num_samples >= 1, num_samples
        assert batch_size >= 1, batch_size
        self.num_samples = num_samples
        self.batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._cursor = 0
        self._order = self._permutation(0)  # [N]

    @property
    def position(self) -> tuple[int, int]:
        """The epoch, and how many of its samples are used up."""
        return self._epoch, self._cursor

    @property
    def number(self) -> int:
        """The number of the next batch, from 0, also counting those that were skipped."""
        return self._passed // self.batch_size

    @property
    def _passed(self) -> int:
        return self._epoch * self.num_samples + self._cursor

    def seek(self, position: tuple[int, int]) -> None:
        """Go on from a position as if everything before it had been drawn."""
        epoch, cursor = position
        assert epoch >= 0, epoch
        assert 0 <= cursor < self.num_samples, (cursor, self.num_samples)
        self._epoch, self._cursor, self._order = epoch, cursor, self._permutation(epoch)

    def skip(self, batches: int) -> None:
        """Leave out so many batches, as if they had been drawn."""
        assert batches >= 0, batches
        self.seek(divmod(self._passed + batches * self.batch_size, self.num_samples))

    def next(self) -> torch.Tensor:
        """The indices [B] of the next batch."""
        pieces = []
        wanted = self.batch_size
        while wanted > 0:
            piece = self._order[self._cursor : self._cursor + wanted]
            pieces.append(piece)
            wanted -= len(piece)
            self._cursor += len(piece)
            if self._cursor == self.num_samples:
                self.seek((self._epoch + 1, 0))
        return torch.cat(pieces)

    def _permutation(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(derive_seed(self._seed, "epoch", epoch))
        return torch.randperm(self.num_samples, generator=generator)
