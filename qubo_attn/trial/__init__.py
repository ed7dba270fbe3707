"""Trials: attention compiled and solved for several numbers of keys, beside top-k."""
