"""A tiny model that looks up colours by name, trained with five kinds of attention.

A sequence holds pairs of a name and a colour, and a question, which is one of the names. The answer
is the colour of that name. A model that does not find the name's pair can only guess among the
colours present, so the loss measures attention. All models have the same parameters, initial
values, batches and optimiser, and differ in the attention weights alone:

* ``softmax``: `torch.nn.MultiheadAttention`;
* ``annealed``: annealing selects one pair a row; the gradient is straight through, or QAMA's energy
  rule, or the exact gradient of marginals of Boltzmann samples;
* ``uniform``: the control. Every pair has the same weight whatever the scores are, so its query and
  key projections have no effect.

    python examples/train_tiny.py            # under a minute on two cores
    python examples/train_tiny.py --steps 30
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor, nn

import qubo_attn as qa
from qubo_attn.torch import AnnealedAttention

NAMES, COLOURS, PAIRS, WIDTH, HEADS, BATCH = 8, 4, 5, 16, 2, 48
HELD_OUT = 256


class UniformAttention(nn.MultiheadAttention):
    """Weights that do not depend on the scores; parameters as in ``MultiheadAttention``."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, None]:
        """Return the mean of the values, projected."""
        _, _, weight = self.in_proj_weight.chunk(3)
        _, _, bias = self.in_proj_bias.chunk(3)
        mean = nn.functional.linear(value, weight, bias).mean(1, keepdim=True)
        return self.out_proj(mean.expand(query.shape)), None


class Lookup(nn.Module):
    """Embeddings, one attention, a readout."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.name = nn.Embedding(NAMES, WIDTH)
        self.colour = nn.Embedding(COLOURS, WIDTH)
        self.attention = attention
        self.readout = nn.Linear(WIDTH, COLOURS)

    def forward(self, names: Tensor, colours: Tensor, question: Tensor) -> Tensor:
        """Return the logits of the answer, shape (batch, colours)."""
        pairs = self.name(names) + self.colour(colours)
        context, _ = self.attention(self.name(question)[:, None], pairs, pairs)
        return self.readout(context[:, 0])


def questions(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return names, colours, questions and answers."""
    generator = torch.Generator().manual_seed(seed)
    names = torch.rand(count, NAMES, generator=generator).argsort(1)[:, :PAIRS]
    colours = torch.randint(COLOURS, (count, PAIRS), generator=generator)
    asked = torch.randint(PAIRS, (count, 1), generator=generator)
    return names, colours, names.gather(1, asked)[:, 0], colours.gather(1, asked)[:, 0]


def annealed(**options: object) -> AnnealedAttention:
    """Return a layer that selects one pair a row."""
    return AnnealedAttention(
        WIDTH,
        HEADS,
        batch_first=True,
        select=qa.OneHot(),
        **{
            "objective": "hard",
            "sampler_options": {"num_reads": 8, "num_sweeps": 64},
            **options,
        },
    )


def attentions() -> dict[str, nn.Module]:
    """Return the kinds of attention, all starting from the same parameters."""
    kinds = {
        "softmax": nn.MultiheadAttention(WIDTH, HEADS, batch_first=True),
        "annealed, straight through": annealed(),
        "annealed, energy rule": annealed(backward="energy"),
        "annealed, Boltzmann marginals": annealed(
            objective="boltzmann",
            forward="soft",
            backward="exact",
            sampler_options={"num_reads": 32, "num_sweeps": 32},
        ),
        "uniform (control)": UniformAttention(WIDTH, HEADS, batch_first=True),
    }
    for module in kinds.values():
        module.load_state_dict(kinds["softmax"].state_dict())
    return kinds


def train(attention: nn.Module, steps: int, seed: int) -> tuple[list[float], float]:
    """Return the loss of every step, and the accuracy on held-out questions."""
    torch.manual_seed(seed)
    model = Lookup(attention)
    optimiser = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for step in range(steps):
        *inputs, answers = questions(BATCH, seed=1000 * seed + step)
        loss = nn.functional.cross_entropy(model(*inputs), answers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    model.eval()
    *inputs, answers = questions(HELD_OUT, seed=10**6)
    with torch.no_grad():
        correct = (model(*inputs).argmax(-1) == answers).double().mean()
    return losses, float(correct)


def main() -> None:
    """Train all kinds and print losses and accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    steps, seed = options.steps, options.seed
    torch.set_num_threads(1)  # the matrices are tiny
    torch.manual_seed(seed)
    tenth = max(steps // 10, 1)
    print(f"{'attention':<30} parameters  first loss  last loss  accuracy  seconds")
    for name, attention in attentions().items():
        start = time.perf_counter()
        losses, accuracy = train(attention, steps, seed)
        first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
        size = sum(p.numel() for p in attention.parameters())
        spent = time.perf_counter() - start
        print(f"{name:<30} {size:>10} {first:>11.3f} {last:>10.3f} {accuracy:>9.2f} {spent:>8.1f}")
    print(f"first and last: mean over {tenth} steps; guessing: loss 1.386, accuracy 0.25")


if __name__ == "__main__":
    main()
