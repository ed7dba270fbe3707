"""Machines: qubits, couplers, limits and timing."""
