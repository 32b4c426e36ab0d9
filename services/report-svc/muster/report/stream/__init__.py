"""The Faust stream processor and its auditor."""
