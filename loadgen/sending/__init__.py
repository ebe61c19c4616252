"""SHELL: sends what is due, by one process or several; reads recordings."""
