"""Rows of real attention as instances for methods that minimise: files with their proven optima."""
