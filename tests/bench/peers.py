"""Other systems, measured in the same run: their command prints JSON lines, and we stand beside them."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import Any

PEERS_TIMEOUT_S = 1800.0


class PeersFailed(Exception):
    """The command of the peers did not end well, or printed nothing to compare with."""


def run_peers(words: Sequence[str], timeout_s: float = PEERS_TIMEOUT_S) -> list[dict[str, Any]]:
    """The JSON objects among the lines that the command prints; it and all it started are ended at the bound."""
    if not words:
        return []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            printed, _ = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as late:
            raise PeersFailed(f"PEERS: {words[0]} had not ended after {timeout_s:.0f} s") from late
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise PeersFailed(f"PEERS: {words[0]} ended with code {process.returncode}")
    found = [_read(line) for line in printed.splitlines()]
    peers = [one for one in found if one is not None]
    if not peers:
        raise PeersFailed(f"PEERS: {words[0]} printed no line of JSON")
    return peers


def _read(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def ratios(run: dict[str, Any], peers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How we stand to each peer that says its rate and CPU: rate above 1 is faster, cpu below 1 is cheaper."""
    found = {}
    for peer in peers:
        rate = peer.get("msgs_per_s") or peer.get("smsc_per_s")
        cpu_us = peer.get("us_per_sms") or (peer.get("cpu_s_per_1000") or 0) * 1000
        if "peer" in peer and rate and cpu_us:
            name = f"{peer['peer']} {peer.get('config', {}).get('per_request', '')}".strip()
            found[name] = {"rate": round(run["sms_per_s"] / rate, 2), "cpu": round(run["cpu_us_per_sms"] / cpu_us, 2)}
    return {"ratios": found} if found else {}
