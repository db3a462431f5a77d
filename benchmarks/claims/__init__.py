"""What five articles claim of diffusion models, measured: `python docs/redraw.py claims [NAME …]` makes docs/claims.md.

`claim` has the types and the words of verdicts, `table` all claims, `page` measures, keeps and prints them; each other
file measures the claims of one subject. A rule was written down before its claim was measured first.
"""
