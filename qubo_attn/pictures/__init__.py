"""Markup, pictures and heat maps out of arrays."""
