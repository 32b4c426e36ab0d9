"""Who may do what, as the code goes by it."""

from typing import Annotated

from fastapi import APIRouter

from muster.kit.auth import Caller, Permission, Role, requires
from muster.kit.http import Model

router = APIRouter(prefix="/v1")


class PermissionOut(Model):
    """What the roles named may do. `name` is what `x-permission` of a route in the OpenAPI document says; `says` ends
    the sentence "Who may …"."""

    name: str
    says: str
    roles: list[Role]


class RolesOut(Model):
    """The roles that there are, and all that any of them may do."""

    roles: list[Role]
    permissions: list[PermissionOut]


@router.get("/roles")
async def list_roles(_: Annotated[Caller, requires(Permission.OWN_ACCOUNT)]) -> RolesOut:
    """The table of roles, which is the same for every business."""
    return RolesOut(
        roles=list(Role),
        permissions=[
            PermissionOut(name=one.key, says=one.says, roles=[role for role in Role if role in one.roles])
            for one in Permission
        ],
    )
