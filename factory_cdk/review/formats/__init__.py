"""A Report for people and programs: `document.py` says what is shown in which order, `text.py` and `markdown.py` write
it, `json_report.py` has all of it, `github.py` what GitHub shows at the plan's lines.
"""
