"""Samples back to attention."""
