"""Engines answer three questions about a path of ids: labels at its end, words behind it, probability of it."""
