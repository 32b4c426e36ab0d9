"""The eight laws, each written once: pure functions over small records, of the standard library alone.

Whoever has the facts, a service in its rows, the command in what services serve, an explorer in its states, puts them
into these records and asks. Every function answers with a LawResult: how much was looked at, and what breaks the law.
"""
