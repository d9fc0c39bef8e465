"""What PyPI refuses in a file: the one place that knows.

The preflight asks `verdicts` for everything at once (it has `checks.judge_file` called in a child
process), and `release`. The rehearsal's PyPI asks for the first refusal, in the server's order:
`refuse_form`, then `refuse_description`, `refuse_filename` and `refuse_file`, all in `checks`. The
yardstick is PyPI's server, not a tidy validator.
"""
