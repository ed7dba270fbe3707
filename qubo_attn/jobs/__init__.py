"""Jobs: submissions sent to samplers, answers kept as they come, and gone on with later."""
