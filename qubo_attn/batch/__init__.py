"""Many inputs over many processes."""
