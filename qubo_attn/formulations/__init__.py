"""How a count, a weight or a bound is written as a QUBO, and its proof."""
