"""Query parameters that a route does not know: refused by name, with those that it knows."""

from typing import Any, Final

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes

from muster.kit.edge import matched_route
from muster.kit.problems import unprocessable_all

_NAMED_MAX: Final = 20
_NAME_CHARS_MAX: Final = 60


def refuse_unknown(request: Request) -> None:
    """422 that names what this route does not know."""
    known = known_parameters(matched_route(request.scope))
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known]
    if not unknown:
        return
    words = f"known are {', '.join(known)}" if known else "this path takes none"
    message = f"is not a query parameter that is known here; {words}"
    raise unprocessable_all(
        [
            {"field": name[:_NAME_CHARS_MAX], "code": "unknown_parameter", "message": message}
            for name in unknown[:_NAMED_MAX]
        ]
    )


def known_parameters(route: Any) -> list[str]:
    """The query parameters of a route, those of its dependencies too, in their order."""
    dependant = getattr(route, "dependant", None)
    fields = get_flat_params(dependant) if dependant is not None else []
    return [field.alias for field in fields if getattr(field.field_info, "in_", None) is ParamTypes.query]
