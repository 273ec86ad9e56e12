"""The conversation: understanding, deciding, writing and remembering."""
