"""Is it up yet? Small checks that answer False for 'not yet'."""

import socket

import httpx

CHECK_SECONDS = 2.0


def free_port() -> int:
    """A TCP port on loopback that nobody uses at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def http_ready(url: str) -> bool:
    """True when the address answers 2xx."""
    try:
        return httpx.get(url, timeout=CHECK_SECONDS, trust_env=False).is_success
    except httpx.HTTPError:
        return False
