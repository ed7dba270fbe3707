"""Programs: variables, a quadratic objective and constraints, and the way back."""
