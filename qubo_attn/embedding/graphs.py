"""Embeddings of any graph: one, or as many side by side as fit; kept, repaired and checked."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qubo_attn.common.arrays import Longs, pointers
from qubo_attn.common.checks import MOST_SEED, number, whole
from qubo_attn.common.frozen import Portable
from qubo_attn.common.keywords import named
from qubo_attn.embedding.cache import EmbeddingCache
from qubo_attn.embedding.cliques import ROUNDS
from qubo_attn.embedding.component import Component
from qubo_attn.embedding.mixing import pack_mixture
from qubo_attn.embedding.one import embed_component
from qubo_attn.embedding.packing import Packing
from qubo_attn.embedding.parts import Mixture, component_of, parts_of
from qubo_attn.embedding.placement import Placement
from qubo_attn.embedding.shipped import packed_cliques
from qubo_attn.embedding.source import Source, sources_of
from qubo_attn.embedding.templates import round_up, stock_for
from qubo_attn.errors import EmbeddingError, TargetError
from qubo_attn.machine.target import Target

if TYPE_CHECKING:
    import networkx as nx

# Seconds of the longest timeout: a year or so.
_LONGEST = 3e7


@dataclass(frozen=True, eq=False)
class PackedGraphs(Portable):
    """Disjoint embeddings of graphs on one machine; made by `pack_graphs`.

    Attributes:
        embeddings: for each copy, the qubits of each node's chain, as ``minorminer`` gives them:
            by the graph's own labels, in the machine's own labels.
        graph: for each copy, the number of the graph among those given.
        placement: the chains of all nodes, copy after copy; ``component`` is the copy.

    Example:
        >>> import networkx as nx, qubo_attn as qa
        >>> packed = qa.pack_graphs(nx.cycle_graph(6), "zephyr:2", copies=3)
        >>> len(packed), packed.longest_chain, packed.placement.submissions
        (3, 1, 1)
    """

    embeddings: tuple[dict[Hashable, tuple[Hashable, ...]], ...]
    graph: tuple[int, ...]
    placement: Placement

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def longest_chain(self) -> int:
        """Qubits of the longest chain."""
        return int(self.placement.chain_lengths.max(initial=0))

    @property
    def qubits(self) -> int:
        """Number of qubits in use."""
        return len(self.placement.chain_qubit)


@named
def embed_graph(
    graph: object,
    target: Target | str | nx.Graph | object,
    *,
    seed: int = 0,
    longest_chain: int | None = None,
    timeout: float | None = None,
    cache: EmbeddingCache | str | os.PathLike[str] | None = None,
) -> dict[Hashable, tuple[Hashable, ...]]:
    """Return an embedding of any graph, as ``minorminer.find_embedding`` does.

    Cliques start from tiles and the package's own search, other graphs from the best of several
    attempts of minorminer, most of them in windows of the machine. Then chains are taken out and
    laid anew, for as few qubits as possible, then for a short longest chain. What was found is
    checked and kept, and repaired once the machine changes.

    Args:
        graph: a networkx graph, a quadratic model of dimod's, or edges as pairs of labels; it need
            not be connected.
        target: a machine; whatever `Target.of` takes.
        seed: seed of all choices.
        longest_chain: qubits that a chain may have; None for any number.
        timeout: seconds to search for; the longer, the fewer qubits. Kernels that are not compiled
            yet come on top. None for an effort that depends on the graph alone: results are then
            the same everywhere.
        cache: where embeddings are kept; see `EmbeddingCache`.

    Returns:
        The qubits of each node's chain, in the machine's own labels.

    Raises:
        EmbeddingError: none was found.
        InputError: an argument does not fit; names it.
        TargetError: the target is no machine with a working graph.

    Example:
        >>> import networkx as nx, qubo_attn as qa
        >>> from minorminer.utils.diagnostic import is_valid_embedding
        >>> graph, machine = nx.petersen_graph(), qa.Target.zephyr(3)
        >>> embedding = qa.embed_graph(graph, machine)
        >>> is_valid_embedding(embedding, graph, machine.graph())
        True
    """
    source = Source.of(graph)
    find = _Find.of(target, seed, longest_chain, timeout, ROUNDS, cache)
    packing = find.one(source)
    return _embedding(source, packing.copies()[0], find.target)


@named
def pack_graphs(
    graphs: object,
    target: Target | str | nx.Graph | object,
    copies: int | None = None,
    *,
    seed: int = 0,
    longest_chain: int | None = None,
    timeout: float | None = None,
    rounds: int = ROUNDS,
    cache: EmbeddingCache | str | os.PathLike[str] | None = None,
) -> PackedGraphs:
    """Return disjoint embeddings of graphs, side by side in one programming of a machine.

    Args:
        graphs: a graph, as for `embed_graph`, or a list of graphs. Of a list as many as fit are
            embedded, smaller ones first where not all do.
        target: a machine; whatever `Target.of` takes.
        copies: how many copies of each graph. None for as many copies of one graph as fit, and one
            of each graph of a list.
        seed: seed of all choices.
        longest_chain: qubits that a chain may have; None for any number.
        timeout: seconds after which no new step of the search begins; results are the same
            everywhere without one only.
        rounds: search effort, in milliseconds on a full chip or so; more is denser.
        cache: where packings are kept; see `EmbeddingCache`.

    Returns:
        The copies in order of their graphs.

    Raises:
        EmbeddingError: not one copy was found, or fewer of one graph than ``copies``; carries
            ``requested`` and ``fits``.
        InputError: an argument does not fit; names it.
        TargetError: the target is no machine with a working graph.

    Example:
        >>> import networkx as nx, qubo_attn as qa
        >>> packed = qa.pack_graphs([nx.complete_graph(4), nx.path_graph(9)], "zephyr:2", copies=2)
        >>> packed.graph, packed.longest_chain
        ((0, 0, 1, 1), 2)
        >>> len(qa.pack_graphs(nx.complete_graph(8), "zephyr:4"))
        33
    """
    sources, several = sources_of(graphs)
    find = _Find.of(target, seed, longest_chain, timeout, rounds, cache)
    wanted = None if copies is None else whole("copies", copies, 1)
    if wanted is None and several:
        wanted = 1
    parts = [parts_of(len(source.labels), source.i, source.j) for source in sources]
    chains = find.copies([[component for component, _ in each] for each in parts], wanted)
    packed: list[tuple[int, list[Longs]]] = []
    for number_, (source, each) in enumerate(zip(sources, parts, strict=True)):
        for _ in range(wanted or len(find.target.qubits)):
            if any(not chains[component] for component, _ in each) or not _enough(each, chains):
                break
            copy: list[Longs] = [np.zeros(0, np.int64)] * len(source.labels)
            for component, nodes in each:
                for node, chain in zip(nodes.tolist(), chains[component].popleft(), strict=True):
                    copy[node] = chain
            packed.append((number_, copy))
    if not packed or (not several and wanted is not None and len(packed) < wanted):
        raise EmbeddingError(
            f"{wanted or 1} copies of a graph of {len(sources[0].labels)} nodes do not fit "
            f"{find.target.label}: {len(packed)} were found",
            requested=wanted or 1,
            fits=len(packed),
        )
    embeddings = tuple(_embedding(sources[g], copy, find.target) for g, copy in packed)
    numbers = tuple(g for g, _ in packed)
    return PackedGraphs(embeddings, numbers, _placement(sources, packed, find.target))


@dataclass(frozen=True, eq=False)
class _Find:
    """Searches of one call, through the cache."""

    target: Target
    options: dict[str, int]
    timeout: float | None
    rounds: int
    cache: EmbeddingCache

    @classmethod
    def of(
        cls,
        target: object,
        seed: int,
        longest_chain: int | None,
        timeout: float | None,
        rounds: int,
        cache: EmbeddingCache | str | os.PathLike[str] | None,
    ) -> _Find:
        """Return the searches that checked arguments make."""
        machine = Target.of(target)
        if machine is None or not machine.is_structured:
            raise TargetError("graphs are embedded on a machine with a working graph")
        options = {"seed": whole("seed", seed, most=MOST_SEED)}
        if longest_chain is not None:
            options["longest_chain"] = whole("longest_chain", longest_chain, 1)
        if timeout is not None:
            timeout = number("timeout", timeout, most=_LONGEST, above=0.0)
            options["milliseconds"] = max(1, int(1e3 * timeout))
        kept = cache if isinstance(cache, EmbeddingCache) else EmbeddingCache(cache)
        return cls(machine, options, timeout, whole("rounds", rounds), kept)

    def one(self, source: Source) -> Packing:
        """Return an embedding of a graph."""
        component = component_of(len(source.labels), source.i, source.j)
        return self._kept(
            component,
            self.options | {"copies": 1},
            lambda: embed_component(
                component,
                self.target,
                seed=self.options["seed"],
                longest_chain=self.options.get("longest_chain"),
                timeout=self.timeout,
            ),
        )

    def copies(
        self, graphs: list[list[Component]], wanted: int | None
    ) -> dict[Component, deque[list[Longs]]]:
        """Return chains of the parts of graphs, as many copies as were found.

        Args:
            graphs: the parts of each graph.
            wanted: copies of each graph; as many as fit when None.
        """
        counts: dict[Component, int] = defaultdict(int)
        most = len(self.target.qubits)
        for parts in graphs:
            for component in parts:
                counts[component] += wanted or max(1, most // sum(part.size for part in parts))
        options = self.options | {"rounds": self.rounds}
        if len(counts) == 1 and not next(iter(counts)).shape:
            component = next(iter(counts))
            return {component: deque(self._cliques(component.size)[: counts[component]])}
        mixture = Mixture(tuple(counts), tuple(counts.values()))
        packing = self._kept(
            mixture,
            options,
            lambda: pack_mixture(
                mixture,
                self.target,
                rounds=self.rounds,
                seed=self.options["seed"],
                longest_chain=self.options.get("longest_chain"),
                timeout=self.timeout,
            ),
        )
        chains: dict[Component, deque[list[Longs]]] = {name: deque() for name in counts}
        (copy,) = packing.copies()
        edges = packing.component.edges
        for component, nodes in parts_of(packing.size, edges[0], edges[1]):
            chains[component].append([copy[node] for node in nodes.tolist()])
        return chains

    def _cliques(self, size: int) -> list[list[Longs]]:
        """Return as many copies of a clique as fit, of the next larger one that tiles ship for."""
        options = {name: n for name, n in self.options.items() if name != "milliseconds"}
        options["rounds"] = self.rounds
        larger = round_up(stock_for(self.target), size)
        packing = self._kept(
            Component(larger), options, lambda: packed_cliques(larger, self.target, options)
        )
        return [copy[:size] for copy in packing.copies()]

    def _kept(
        self, wanted: Component | Mixture, options: dict[str, int], find: Callable[[], Packing]
    ) -> Packing:
        return self.cache.packing(wanted, self.target, options, find).packing


def _enough(
    parts: list[tuple[Component, Longs]], chains: dict[Component, deque[list[Longs]]]
) -> bool:
    """Return whether there are chains for all parts of a graph."""
    needed: dict[Component, int] = defaultdict(int)
    for component, _ in parts:
        needed[component] += 1
    return all(len(chains[component]) >= count for component, count in needed.items())


def _embedding(
    source: Source, copy: list[Longs], target: Target
) -> dict[Hashable, tuple[Hashable, ...]]:
    """Return chains by labels."""
    return {
        label: tuple(target.qubit_name(int(qubit)) for qubit in chain)
        for label, chain in zip(source.labels, copy, strict=True)
    }


def _placement(
    sources: list[Source], packed: list[tuple[int, list[Longs]]], target: Target
) -> Placement:
    """Return the chains of all copies as one submission."""
    chains = [chain for _, copy in packed for chain in copy]
    component = np.repeat(np.arange(len(packed)), [len(copy) for _, copy in packed])
    digest = hashlib.sha256(component.tobytes())
    for g, _ in packed:
        digest.update(sources[g].i.tobytes() + sources[g].j.tobytes())
    return Placement(
        target,
        np.zeros(len(component), np.int64),
        component,
        pointers([len(chain) for chain in chains]),
        np.concatenate(chains),
        digest.hexdigest(),
    )
