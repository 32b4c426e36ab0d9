"""How a process of Muster runs."""

import sys

# structlog loads rich where that is installed, to draw tracebacks that nobody sees here: a sixth of what a process
# costs to start. Whoever draws with rich himself has it before us, or imports it after.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog as _without_rich  # noqa: F401
    finally:
        del sys.modules["rich"]
