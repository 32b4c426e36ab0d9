"""The HTTP edge: the detail report, live progress, and what is asked of the whole report."""

from muster.report.api import ops, progress, report

ROUTERS = (report.router, progress.router, *ops.ROUTERS)
