"""SHELL: the models in real time, behind one endpoint on loopback. Performs commands, feeds results, holds no policy."""
