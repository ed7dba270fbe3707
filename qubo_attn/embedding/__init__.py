"""Embeddings of problems on machines: templates, packings, plans and the cache."""
