"""PURE: a load as people see it: live lines, report.json, report.html, the comparison of two, thresholds."""
