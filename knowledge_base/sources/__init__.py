"""Documents of the kinds that companies have, each turned into Markdown and cut into passages, in a guarded process.

`kinds` names the kinds and converts; `sandbox` does so in a child process; `ledger` remembers what was converted.
"""
