"""The board of Ember: embeddings of its bundled graphs, ours beside other entrants at equal time.

Ember (arXiv 2604.25433; ``pip install ember-qc``, 1.4.2) runs entrants and checks what they return.
Here it runs ours (`qubo_attn.embed_graph`); minorminer, restarted with new seeds until the time is
up, the best of its restarts by qubits, then longest chain; and the entrants that Ember brings, as
they come. Ours and the restarts get the same seconds, in turn, in one process. Where a bound proves
an embedding minimal (``ember_bounds.py``), the search for a better one ends: restarts stop, and
ours is asked for ``--first`` seconds before it is asked for all. ``--graphs larger`` takes graphs
of 16 to 120 nodes in place of the bundled ones, most of which embed in as many qubits as nodes.

    pip install ember-qc
    python benchmarks/ember.py --seconds 60 --resume FILE --json
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ember_qc.registry
import networkx as nx
from common import finish, parser
from ember_bounds import Lattice, least_qubits
from ember_qc.benchmark import benchmark_one
from ember_qc.faults import simulate_faults
from ember_qc.topologies import get_topology

import qubo_attn as qa

OURS, RESTARTED = "qubo-attn", "minorminer, restarted"
BUNDLED = ("minorminer", "minorminer-chainlength", "clique", "pssa-fast")
Result = dict[str, Any]


@ember_qc.registry.register_algorithm(OURS)
class Ours(ember_qc.registry.EmbeddingAlgorithm):  # type: ignore[misc]
    """`embed_graph`: minorminer's best attempt, whose chains are taken out and laid anew."""

    def embed(
        self, source_graph: nx.Graph, target_graph: nx.Graph, timeout: float = 60.0, **options: Any
    ) -> Result:
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            chains = qa.embed_graph(
                source_graph,
                target_graph,
                seed=options.get("seed", 0),
                timeout=timeout,
                cache=folder,
            )
        embedding = {node: list(chain) for node, chain in chains.items()}
        return {"embedding": embedding, "time": time.monotonic() - start}


@ember_qc.registry.register_algorithm(RESTARTED)
class Restarted(ember_qc.registry.EmbeddingAlgorithm):  # type: ignore[misc]
    """minorminer with one seed after another until the time is up: the best of all."""

    def embed(
        self, source_graph: nx.Graph, target_graph: nx.Graph, timeout: float = 60.0, **options: Any
    ) -> Result:
        import minorminer

        start, seed = time.monotonic(), options.get("seed", 0)
        best: dict[int, list[int]] = {}
        edges, enough = list(target_graph.edges), options.get("enough", (0, 0))
        while (left := start + timeout - time.monotonic()) > 0:
            chains = minorminer.find_embedding(
                source_graph, edges, random_seed=seed % 2**32, timeout=left
            )
            if chains and (not best or cost_of(chains) < cost_of(best)):
                best = chains
            if best and cost_of(best) <= enough:
                break
            seed += 1
        return {"embedding": best, "time": time.monotonic() - start}


def cost_of(chains: dict[int, list[int]]) -> tuple[int, int]:
    """Return qubits and longest chain: less is better."""
    lengths = [len(chain) for chain in chains.values()]
    return sum(lengths), max(lengths)


def bundled() -> Iterator[tuple[str, nx.Graph]]:
    """Yield the graphs that come with Ember, from their files: no other is fetched."""
    folder = Path(ember_qc.registry.__file__).parent / "graphs" / "library"
    for path in sorted(folder.glob("*.json"), key=lambda path: int(path.name.split("_")[0])):
        data = json.loads(path.read_text())
        edges = "edges" if "edges" in data["graph"] else "links"
        yield data["name"], nx.node_link_graph(data["graph"], edges=edges)


def larger() -> Iterator[tuple[str, nx.Graph]]:
    """Yield graphs with room for better embeddings; random ones are drawn with seed 1."""
    for size in (16, 24, 32):
        yield f"K{size}", nx.complete_graph(size)
    for degree, size in ((3, 120), (4, 100), (6, 60), (8, 40)):
        yield f"{degree}-regular {size}", nx.random_regular_graph(degree, size, seed=1)
    for size, share in ((30, 0.3), (60, 0.1)):
        yield f"random {size}, {share}", nx.gnp_random_graph(size, share, seed=1)
    yield "preferential 60, 3", nx.barabasi_albert_graph(60, 3, seed=1)
    yield "bipartite 12, 16", nx.complete_bipartite_graph(12, 16)
    cube = nx.convert_node_labels_to_integers(nx.grid_graph((4, 4, 4)))
    yield "cube 4", cube


def record(result: Any, seconds: float) -> Result:
    """Return what is kept of a result of Ember's."""
    facts = {"valid": bool(result.success and result.is_valid), "seconds": round(seconds, 2)}
    if facts["valid"]:
        return facts | {"qubits": result.total_qubits_used, "longest": result.max_chain_length}
    return facts | {"error": f"{result.status}: {result.error}"}


def is_minimal(facts: Result, least: int, nodes: int) -> bool:
    """Return whether no embedding has fewer qubits, or as many and a shorter longest chain."""
    shortest = 1 if facts.get("qubits") == nodes else 2
    return bool(facts["valid"] and (facts["qubits"], facts["longest"]) == (least, shortest))


class Least:
    """Bounds of graphs on one lattice: faults of a machine do not lower them."""

    def __init__(self, topology: str) -> None:
        self.lattice, self.known = Lattice(topology), dict[str, tuple[int, int]]()

    def of(self, name: str, graph: nx.Graph, most: int) -> int:
        """Return the bound, or ``most`` where it is that much at least."""
        least, before = self.known.get(name, (0, 0))
        if least == before < most:
            least = least_qubits(graph, self.lattice, most)
            self.known[name] = least, most
        return min(least, most)


def run(
    name: str, graph: nx.Graph, machine: nx.Graph, bounds: Least, seed: int, chosen: Any
) -> dict[str, Result]:
    """Return what each entrant makes of a graph, and the bound."""

    def ask(entrant: str, seconds: float, **options: Any) -> Result:
        result = benchmark_one(graph, machine, entrant, timeout=seconds, seed=seed, **options)
        return record(result, result.wall_time)

    nodes = len(graph)
    facts = {OURS: ask(OURS, min(chosen.first, chosen.seconds))}
    least = bounds.of(name, graph, facts[OURS].get("qubits", nodes))
    if not is_minimal(facts[OURS], least, nodes) and chosen.first < chosen.seconds:
        facts[OURS] = ask(OURS, chosen.seconds)
        least = min(least, facts[OURS].get("qubits", least))
    enough = (least, 1 if least == nodes else 2)
    facts[RESTARTED] = ask(RESTARTED, chosen.seconds, enough=enough)
    for entrant in BUNDLED if chosen.others else ():
        facts[entrant] = ask(entrant, chosen.seconds)
    for each in facts.values():
        each["minimal"] = is_minimal(each, least, nodes)
    facts["bound"] = {"qubits": least, "nodes": nodes}
    return facts


def summary(rows: list[dict[str, Result]]) -> dict[str, Any]:
    """Return means of each entrant over the graphs, and on how many ours is better."""
    facts: dict[str, Any] = {"graphs": len(rows)}
    for entrant in rows[0]:
        each = [row[entrant] for row in rows]
        if entrant == "bound":
            continue
        good = [result for result in each if result["valid"]]
        facts[entrant] = {"valid": len(good)} | {
            name: round(sum(result[name] for result in good) / max(len(good), 1), 3)
            for name in ("qubits", "longest", "seconds", "minimal")
        }
    verdicts: dict[str, int] = defaultdict(int)
    for row in rows:
        ours, theirs = (
            (row[name].get("qubits", 10**9), row[name].get("longest", 10**9))
            for name in (OURS, RESTARTED)
        )
        if ours == theirs:
            verdicts["equal, proven minimal" if row[OURS]["minimal"] else "equal"] += 1
        else:
            verdicts["better" if ours < theirs else "worse"] += 1
    return facts | {"verdicts": dict(verdicts)}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--targets", default="zephyr_12,pegasus_16")
    options.add_argument("--faults", default="0", help="shares of qubits that fail, e.g. 0,0.01")
    options.add_argument("--seconds", type=float, default=60.0, help="for ours and the restarts")
    options.add_argument("--first", type=float, default=2.0, help="seconds before a bound is asked")
    options.add_argument("--graphs", default="bundled", help="bundled, larger, or names of graphs")
    options.add_argument("--others", action="store_true", help="Ember's own entrants as well")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--resume", help="file of results: what it has is not run again")
    chosen = options.parse_args()
    known: dict[str, dict[str, Result]] = {}
    if chosen.resume and Path(chosen.resume).exists():
        for line in Path(chosen.resume).read_text().splitlines():
            key, row = json.loads(line)
            known[key] = row
    graphs = dict(bundled()) | dict(larger())
    named = chosen.graphs.split(",")
    names = {"bundled": dict(bundled()), "larger": dict(larger())}.get(chosen.graphs, named)
    if chosen.graphs not in ("bundled", "larger") and (strange := set(named) - set(graphs)):
        raise SystemExit(f"no such graphs: {', '.join(sorted(strange))}")
    qa.embed_graph(nx.complete_graph(5), "zephyr:2", timeout=0.1)  # kernels are compiled before
    facts: dict[str, Any] = {}
    for topology in chosen.targets.split(","):
        bounds = Least(topology)
        for faults in map(float, chosen.faults.split(",")):
            machine = simulate_faults(get_topology(topology), faults, fault_seed=chosen.seed)
            rows = []
            for name in sorted(names, key=list(graphs).index):
                key = f"{topology} {faults} {name} {chosen.seconds} {chosen.others} {chosen.seed}"
                if key not in known:
                    seed = int(hashlib.sha256(key.encode()).hexdigest()[:6], 16)
                    known[key] = run(name, graphs[name], machine, bounds, seed, chosen)
                    if chosen.resume:
                        with Path(chosen.resume).open("a") as file:
                            file.write(json.dumps([key, known[key]]) + "\n")
                    print(f"{topology}, faults {faults}: {name}: {known[key]}", flush=True)
                rows.append(known[key])
            facts[f"{topology}, faults {faults}"] = summary(rows)
            print(f"{topology}, faults {faults}: {summary(rows)}", flush=True)
    finish(facts, chosen.json)


if __name__ == "__main__":
    main()
