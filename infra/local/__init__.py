"""SHELL: the models in real time, behind one endpoint on loopback. No policy lives here."""
