"""Caddy in front of everything: one public URL, each path to its owner by the table in `routes`."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from muster.local.process import Command
from muster.local.programs import program
from muster.local.routes import API, BELOW, PAGES, ROUTES

_BODY_BYTES_MAX = 1 << 20
_IMPORT_BYTES_MAX = 512 << 20  # what customer-svc reads of a file of customers
# What owners read of an address: their parser counts its bytes in 16 bits. Queries of 10,000 characters of most scripts
# fit, and one of 10,000 terms comes as far as here, to be refused in words and not by Go's bare 431.
_ADDRESS_BYTES_MAX = 64_000
_HEADER_BYTES_MAX = 256 << 10
_IMPORTS = "^(/v1/customers/imports|/customers/import)$"
_NANOSECONDS = 1_000_000_000
# A file over a slow line takes hours, and customer-svc says how slow it may be and how many. Whatever else comes slowly
# its owner gives up after half a minute.
_READ_S = 5 * 3_600
_IDLE_MAX = 256
_OURS = ("127.0.0.0/8", "::1/128")
_RESTART_S = 3  # how long a request waits for an owner that is being restarted

# Answered by Caddy alone: who asks whether it serves asks for this.
_ROBOTS = "User-agent: *\nDisallow: /\n"

_PROBLEMS = {
    404: ("not_found", "There is nothing at this address"),
    413: ("too_large", "The body is larger than this address takes"),
    414: ("address_too_long", "The address is too long"),
    502: ("unavailable", "The service behind this address is not there"),
    503: ("unavailable", "The service behind this address is not there"),
    504: ("unavailable", "The service behind this address did not answer in time"),
}


def config(listen: str, upstreams: Mapping[str, str], *, trusted: Sequence[str] = _OURS) -> dict[str, Any]:
    """Caddy's configuration, on a laptop, in containers and in a cluster alike.

    `listen` is host:port, each service answers at its host:port of `upstreams`. `trusted` are the networks from which
    a request may say for whom it calls: that of the console, and of a proxy before this one.
    """
    long = [{"expression": f"size({{http.request.uri}}) > {_ADDRESS_BYTES_MAX}"}]
    routes = [
        {"match": long, "handle": [_problem(414)], "terminal": True},
        _route("^/robots.txt$", {"handler": "static_response", "headers": _content("text/plain"), "body": _ROBOTS}),
        {**_route(_IMPORTS, _body_limit(_IMPORT_BYTES_MAX)), "terminal": False, "group": "limit"},
        {"handle": [_body_limit(_BODY_BYTES_MAX)], "group": "limit"},
        *(_route(route.regex, _proxy(upstreams[route.service])) for route in ROUTES if route.service in upstreams),
        _route(f"^({'|'.join(map(re.escape, API))}){BELOW}$", _problem(404)),
        {"handle": [_proxy(upstreams[PAGES]) if PAGES in upstreams else _problem(404)]},
    ]
    errors = [
        {"match": [{"expression": f"{{http.error.status_code}} == {status}"}], "handle": [_problem(status)]}
        for status in _PROBLEMS
    ]
    server = {
        "listen": [listen],
        "automatic_https": {"disable": True},
        "read_header_timeout": 10 * _NANOSECONDS,
        "read_timeout": _READ_S * _NANOSECONDS,
        "idle_timeout": 120 * _NANOSECONDS,  # and no write timeout: server-sent events stay open
        "max_header_bytes": _HEADER_BYTES_MAX,
        # The console says for whom it calls; whoever else comes is taken by the address that he comes from.
        "trusted_proxies": {"source": "static", "ranges": list(trusted)},
        "trusted_proxies_strict": 1,
        "routes": routes,
        "errors": {"routes": errors},
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN"}}},
        "apps": {"http": {"servers": {"muster": server}}},
    }


def command(directory: Path, port: int, upstreams: Mapping[str, int]) -> Command:
    """How to start Caddy, with its configuration and all that it writes in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "caddy.json"
    owners = {service: f"127.0.0.1:{at}" for service, at in upstreams.items()}
    file.write_text(json.dumps(config(f"127.0.0.1:{port}", owners), indent=1))
    folder = str(directory.resolve())
    return Command(
        (program("caddy"), "run", "--config", str(file)),
        # It keeps little and throws away much: garbage is looked for at five times of what is kept, not at twice.
        env={"XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder, "GOMAXPROCS": "2", "GOGC": "400"},
    )


def _route(regex: str, handler: Mapping[str, Any]) -> dict[str, Any]:
    return {"match": [{"path_regexp": {"pattern": regex}}], "handle": [handler], "terminal": True}


def _proxy(address: str) -> dict[str, Any]:
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": address}],
        # One address: whose the request is.
        "headers": {"request": {"set": {"X-Forwarded-For": ["{http.vars.client_ip}"]}}},
        # As many idle connections as requests that an owner answers at once: Caddy keeps 32, and would make one anew
        # for nearly every request of a hundred clients. Nothing is asked for in gzip, which no owner speaks.
        "transport": {
            "protocol": "http",
            "compression": False,
            "keep_alive": {"idle_timeout": 60 * _NANOSECONDS, "max_idle_conns_per_host": _IDLE_MAX},
        },
        # Only connections that were refused are tried again: nothing was sent on them.
        "load_balancing": {"try_duration": _RESTART_S * _NANOSECONDS, "try_interval": _NANOSECONDS // 10},
    }


def _body_limit(size: int) -> dict[str, Any]:
    return {"handler": "request_body", "max_size": size}


def _problem(status: int) -> dict[str, Any]:
    code, title = _PROBLEMS[status]
    body = {"type": f"urn:muster:problem:{code}", "title": title, "status": status, "code": code}
    if status == 413:
        body["detail"] = f"At most {_BODY_BYTES_MAX} bytes are read here, {_IMPORT_BYTES_MAX} of an import."
    if status == 414:
        told = "Save a long query as a search, and ask for it by its name (saved=…)."
        body["detail"] = f"At most {_ADDRESS_BYTES_MAX} bytes of an address are read. {told}"
    return {
        "handler": "static_response",
        "status_code": str(status),
        "headers": _content("application/problem+json"),
        "body": json.dumps(body),
    }


def _content(media_type: str) -> dict[str, list[str]]:
    return {"Content-Type": [media_type]}
