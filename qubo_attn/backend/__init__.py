"""Placed programs out: coefficients, submissions, wire data and samples."""
