"""`helm test`: each service answers behind the gateway, and lets nobody in who does not say who they are.

Its arguments are the address of the gateway, and `path=status` for each question.
"""

import sys
import time
import urllib.error
import urllib.request

PATIENCE_S = 60


def status_of(url: str) -> int | str:
    """The status of the answer, or why there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError as error:
        return str(error)


def main(base: str, *questions: str) -> int:
    """0 when every answer is the one expected; else a line for each that is not, and 1."""
    wrong = 0
    until = time.monotonic() + PATIENCE_S
    for path, expected in (one.rsplit("=", 1) for one in questions):
        while (seen := str(status_of(base + path))) != expected and time.monotonic() < until:
            time.sleep(1)
        wrong += seen != expected
        print(f"{'ok   ' if seen == expected else 'WRONG'} GET {path}: {seen}, {expected} expected", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
