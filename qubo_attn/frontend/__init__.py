"""Attention in: checks, selections, objectives and the first program."""
