"""SHELL: `loadgen sweep`: configures the stack point by point, and offers each rate that the search asks for."""
