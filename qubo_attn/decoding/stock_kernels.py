"""Selections for torch's own attention kernels: masks, and keys that a cache keeps.

A kernel that takes a selection as its mask is the decoder ``renormalise``: softmax over the
selected keys. An objective that goes with it is `qubo_attn.Renormalised`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from qubo_attn.common.arrays import Bools
from qubo_attn.common.checks import whole
from qubo_attn.errors import InputError, MissingExtraError
from qubo_attn.frontend.pattern import Pattern, dense
from qubo_attn.frontend.vectors import read_owners

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn.attention.flex_attention import BlockMask


class StockKernels:
    """A selection as torch's attention kernels take it; a part of `AttentionResult`.

    Attributes:
        selected: bool, shape (H, Q, K), or (edges,) of a graph.
        pattern: the edges of a graph; None where the scores were an array.
    """

    selected: Bools
    pattern: Pattern | None

    def sdpa_mask(self, batch: int = 1, device: Any = None) -> Tensor:
        """Return the selection as ``attn_mask`` of ``scaled_dot_product_attention``.

        The kernel then gives the output of the decoder ``renormalise``. A row that keeps no key is
        false throughout, for which some of torch's kernels give NaN.

        Args:
            batch: sequences whose heads stand one after another in H.
            device: of the tensor; the processor's when None.

        Returns:
            bool, true where a key is selected, shape (batch, H / batch, Q, K).

        Raises:
            InputError: ``batch`` does not divide the heads.
            MissingExtraError: torch is not installed.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> compiled.solve().sdpa_mask()
            tensor([[[[ True, False, False]]]])
        """
        torch = _torch()
        sequences = whole("batch", batch, 1)
        selected = dense(self.pattern, self.selected)
        heads, queries, keys = selected.shape
        if heads % sequences:
            raise InputError(
                f"{heads} heads are not those of {sequences} sequences", argument="batch"
            )
        mask = torch.from_numpy(np.ascontiguousarray(selected))
        mask = mask.reshape(sequences, heads // sequences, queries, keys)
        return mask if device is None else mask.to(device)

    def block_mask(self, batch: int = 1, device: Any = None, block_size: int = 128) -> BlockMask:
        """Return the selection as ``block_mask`` of ``flex_attention``.

        Args:
            batch: see `sdpa_mask`.
            device: see `sdpa_mask`.
            block_size: queries and keys of a block; blocks without a selected key are left out.

        Raises:
            InputError, MissingExtraError: see `sdpa_mask`.

        Example:
            >>> import qubo_attn as qa
            >>> compiled = qa.compile([[[2.0, 1.0, 0.5]]], 1, select=qa.OneHot(), target=None)
            >>> compiled.solve().block_mask().shape
            (1, 1, 1, 3)
        """
        mask, size = self.sdpa_mask(batch, device), whole("block_size", block_size, 1)
        from torch.nn.attention.flex_attention import create_block_mask

        def keeps(sequence: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            # A block at the end may reach beyond the last query or key.
            row, column = query.clamp(max=mask.shape[2] - 1), key.clamp(max=mask.shape[3] - 1)
            return mask[sequence, head, row, column]

        return create_block_mask(keeps, *mask.shape, device=str(mask.device), BLOCK_SIZE=size)

    def keep_indices(
        self, kv_head: ArrayLike | None = None, batch: int = 1, device: Any = None
    ) -> Tensor:
        """Return the keys that any query of a head selects: what a cache keeps.

        Keys and values of a cache, shape (batch, heads, K, d), are cut by
        ``keys.gather(2, index[..., None].expand(-1, -1, -1, d))``.

        Args:
            kv_head: int, shape (H / batch,): key/value head of each query head of a sequence; all
                keys that any of its query heads selects are kept. A head each when None.
            batch: see `sdpa_mask`.
            device: see `sdpa_mask`.

        Returns:
            int64, shape (batch, key/value heads, n), ascending.

        Raises:
            InputError: heads keep different numbers of keys, which no one tensor holds, or
                ``kv_head`` does not fit; names the head.
            MissingExtraError: torch is not installed.

        Example:
            >>> import qubo_attn as qa
            >>> scores = [[[2.0, 1.0, 0.5], [1.0, 1.0, 0.0]]]
            >>> tie = qa.TieVariables(queries=True)
            >>> compiled = qa.compile(scores, 1, select=qa.Budget(2), tie=tie, target=None)
            >>> compiled.solve().keep_indices()
            tensor([[[0, 1]]])
        """
        torch = _torch()
        kept = self.sdpa_mask(batch).any(2).numpy()
        heads = kept.shape[1]
        if kv_head is not None:
            owner = read_owners(kv_head, heads)
            kept = np.stack([kept[:, owner == kv].any(axis=1) for kv in range(owner.max() + 1)], 1)
        counts = kept.sum(axis=-1)
        other = np.argwhere(counts != counts[:1, :1])
        if len(other):
            sequence, head = (int(place) for place in other[0])
            raise InputError(
                f"head 0 keeps {counts[0, 0]} keys and head {head} of sequence {sequence} "
                f"{counts[sequence, head]}: a cache of one tensor needs as many of each; tie the "
                "queries of a head and select a qubo_attn.Budget",
                head=head,
            )
        index = np.nonzero(kept)[2].reshape(*counts.shape, -1)
        tensor = torch.from_numpy(np.ascontiguousarray(index))
        return tensor if device is None else tensor.to(device)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError(
            "masks of torch's kernels need torch: pip install torch (extra [torch])", extra="torch"
        ) from error
    return torch
