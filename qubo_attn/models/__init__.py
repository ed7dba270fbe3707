"""Whole models: what their attention is, and which selections serve it; torch is loaded late."""
