"""PURE: the search for the sustainable rate, the scaling law, the quotas' arithmetic, and their pages."""
