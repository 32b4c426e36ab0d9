"""Profiles and secrets of HTTP accounts, as operators give them."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from muster.dispatch.api.carrier_models import HttpSecrets
from muster.dispatch.domain.http import ADAPTERS, SIGNED_BY_KEY
from muster.dispatch.domain.http.read import Wrong, read_http
from muster.dispatch.domain.http.wire import is_a_key
from muster.dispatch.handlers.hosts import HostRefused, address_of
from muster.dispatch.handlers.signatures import public_key
from muster.dispatch.settings import DispatchSettings
from muster.kit.problems import unprocessable

_RESOLVE_S: Final = 3.0
_PROFILE_CHARS_MAX: Final = 20_000


async def checked_profile(profile: Mapping[str, Any], settings: DispatchSettings) -> dict[str, Any]:
    """The profile as it is stored. 422 names what cannot be in it, and a host that carriers may not have."""
    if len(json.dumps(profile)) > _PROFILE_CHARS_MAX:
        raise unprocessable("http.profile", "too_long", f"is JSON of at most {_PROFILE_CHARS_MAX} characters")
    read = read_http(profile, ADAPTERS)
    if isinstance(read, Wrong):
        raise unprocessable(f"http.profile.{read.field}", "not_valid", read.why)
    url = urlsplit(read.base_url)
    networks = "is outside the networks that carriers may be in (MUSTER_CARRIER_NETWORKS)"
    if url.scheme == "http" and not settings.networks:
        raise unprocessable("http.profile.base_url", "not_allowed", f"is reached without TLS, and {networks}")
    try:
        async with asyncio.timeout(_RESOLVE_S):
            await address_of(settings, "", url.hostname or "")
    except HostRefused:
        raise unprocessable("http.profile.base_url", "not_allowed", networks) from None
    except OSError:
        raise unprocessable("http.profile.base_url", "not_found", "this name has no address") from None
    return dict(profile)


def plain_secrets(secrets: HttpSecrets, profile: Mapping[str, Any]) -> str:
    """As `domain.http.read.read_secrets` reads them. 422 for what cannot check the calls of this profile's carrier."""
    callbacks = [one.get_secret_value() for one in secrets.callbacks]
    if profile.get("adapter") in SIGNED_BY_KEY and not all(map(public_key, callbacks)):
        why = "is the public key of this carrier, as it gave it: base64 on one line, of RSA"
        raise unprocessable("http.secrets.callbacks", "not_valid", why)
    if not all(map(is_a_key, callbacks)):
        why = "begins with whsec_, and what follows is not base64: copy all of it"
        raise unprocessable("http.secrets.callbacks", "not_valid", why)
    return json.dumps({"auth": secrets.auth.get_secret_value(), "callbacks": callbacks})
