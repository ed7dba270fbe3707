"""``python -m qubo_attn.cli``: the command line without the installed command."""

from qubo_attn.cli import app

app()
