"""What is said of a refusal: why, and what to do about it."""

from collections.abc import Iterator
from typing import Final

from muster.client import profiles
from muster.client.errors import ApiError
from muster.client.exits import ExitCode

_SIGNED_OUT = ("unauthorized", "invalid_client", "invalid_grant")
"""Codes of those whose token, key or session does not hold, or not any more."""


_LISTED: Final = {
    "/v1/approvals/": "muster approvals list",
    "/v1/bulk-sms/": "muster bulk list",
    "/v1/carriers/": "muster carriers",
    "/v1/customers/imports/": "muster customers imports",
    "/v1/customers/": "muster customers list",
    "/v1/lists/": "muster lists list",
    "/v1/replies/": "muster replies list",
    "/v1/routes/": "muster route list",
    "/v1/schedules/": "muster schedule list",
    "/v1/searches/": "muster customers searches",
    "/v1/suppressions/": "muster suppressions list",
    "/v1/templates/": "muster templates list",
    "/v1/tenants/": "muster tenant list",
    "/v1/users/": "muster team list",
}
"""Where what there is is seen, by the beginning of a path below which something was not found."""


def exit_code(refused: ApiError) -> ExitCode:
    """3 where one has to sign in first."""
    return ExitCode.NOT_CONNECTED if refused.status == 401 or _is_signed_out(refused) else ExitCode.FAILED


def words(refused: ApiError) -> str:
    """The refusal and why, or a line for each field that it names; then a line for each thing that helps."""
    fields = [f"  {error.field}: {error.message}" for error in refused.errors]
    first = f"{refused.status} {refused.problem.get('title', '')}" if fields else str(refused)
    return "\n".join((first, *fields, *(f"  {one}" for one in _help(refused))))


def _help(refused: ApiError) -> Iterator[str]:
    if _is_signed_out(refused):
        name = profiles.chosen_name()
        yield f"to sign in again: muster login{f' --profile {name}' if name else ''}"
    if permission := refused.problem.get("permission"):
        yield f"permission that is missing: {permission}; who has it: muster roles"
    listed = next((how for begin, how in _LISTED.items() if begin in refused.path), "")
    if refused.status == 404 and listed:
        yield f"what there is: {listed}"
    if refused.retry_after_s is not None:
        yield f"it may be asked again in {refused.retry_after_s:,.0f} s"
    if refused.status >= 500 and refused.trace_id:
        yield f"for whoever looks into it, the trace: {refused.trace_id}"


def _is_signed_out(refused: ApiError) -> bool:
    """A 401 without a code is what stands before Muster, such as a proxy, or a Muster of another age."""
    return refused.code in _SIGNED_OUT or (refused.status == 401 and not refused.code)
