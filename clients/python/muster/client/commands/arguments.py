"""Arguments that many commands take, with what their help says."""

from typing import Annotated

import typer

BulkId = Annotated[str, typer.Argument(help="a send, by its id: `muster bulk list` shows it")]
ImportId = Annotated[str, typer.Argument(help="an import, by its id: `muster customers imports` shows it")]
MessageId = Annotated[str, typer.Argument(help="a message, by its id, as sending it says")]
ScheduleId = Annotated[str, typer.Argument(help="a schedule, by its id: `muster schedule list` shows it")]
TenantId = Annotated[str, typer.Argument(help="a business, by its id")]
TopUpId = Annotated[str, typer.Argument(help="a top-up, by its id: `muster credits waiting` shows it")]
