"""Counts, weights and bounds as QUBOs, and the proofs of their prices."""
