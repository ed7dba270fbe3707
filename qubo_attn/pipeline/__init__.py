"""Passes in order, and the promise that each keeps."""
