"""Why a carrier cannot be reached, in words that an operator can do something with."""

import ssl

from muster.dispatch.handlers.hosts import HostRefused
from muster.smpp import BindRefused


def why_not(error: Exception) -> str:
    """What `muster carrier list` says of a connection that failed."""
    match error:
        case BindRefused() | HostRefused():
            return str(error)
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted: {error.verify_message}"
        case ssl.SSLError():
            return f"no TLS: {error}"
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "nobody listens there"
        case ConnectionResetError():
            return "it hung up"
        case OSError(strerror=str(why)) if why:
            return why
    return type(error).__name__
