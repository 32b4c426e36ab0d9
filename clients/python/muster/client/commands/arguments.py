"""Arguments that many commands take, with what their help says."""

import re
from typing import Annotated, Final

import typer

BulkId = Annotated[str, typer.Argument(help="a send, by its id: `muster bulk list` shows it")]
ImportId = Annotated[str, typer.Argument(help="an import, by its id: `muster customers imports` shows it")]
MessageId = Annotated[str, typer.Argument(help="a message, by its id, as sending it says")]
ScheduleId = Annotated[str, typer.Argument(help="a schedule, by its id: `muster schedule list` shows it")]
OfTenant = Annotated[str, typer.Option("--tenant", help="as the operator: of this business, by its id")]
TenantId = Annotated[str, typer.Argument(help="a business, by its id")]
TopUpId = Annotated[str, typer.Argument(help="a top-up, by its id: `muster credits waiting` shows it")]

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")


def moment(written: str | None) -> str | None:
    """A moment as it is asked for: a day is its first moment in UTC."""
    return f"{written}T00:00:00Z" if written and _DAY.fullmatch(written) else written
