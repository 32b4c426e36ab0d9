"""The process of the console: `python -m muster.console.main api`."""

from muster.console.app import create_app
from muster.console.settings import ConsoleSettings
from muster.kit.process import Process, serve_http
from muster.kit.program import run_program


async def api(process: Process[ConsoleSettings]) -> None:
    """Serve the pages."""
    serve_http(process, create_app(process.settings), process.settings)
    process.ready()
    await process.stopped()


if __name__ == "__main__":
    run_program("console", ConsoleSettings, {"api": api})
