"""`python -m review`: serve until SIGTERM or Ctrl-C."""

import argparse
import asyncio

import structlog

from review.app import build_app
from review.book import Book
from review.desk import Desk
from review.loop import Loop
from review.oidc import oidc_from
from review.page_identity import PageIdentity
from review.refresh import Refresher
from review.sessions import Sessions
from runtime.client import connect
from runtime.entry import enter
from runtime.http_server import listen, server
from runtime.leaving import leave
from runtime.settings import Settings
from runtime.telemetry import Telemetry, tracing
from runtime.wiring import platform_from

_EXPLAINED = (
    "Settings come from the environment: HOMEOSTAT_REVIEW_HOST, HOMEOSTAT_REVIEW_PORT, HOMEOSTAT_REVIEW_URL, and "
    "HOMEOSTAT_OIDC_ISSUER, HOMEOSTAT_OIDC_CLIENT_ID, HOMEOSTAT_OIDC_CLIENT_SECRET_FILE for a login service."
)

log = structlog.get_logger(__name__)


async def serve(settings: Settings, telemetry: Telemetry) -> None:
    oidc = oidc_from(settings)
    with listen(settings.review_host, settings.review_port, who="the review page", setting="HOMEOSTAT_REVIEW") as taken:
        loop = Loop(await connect(settings, telemetry=telemetry, lazy=True))
        book, platform = Book(), platform_from(settings)
        refresher = Refresher(book, loop, platform)
        sessions = Sessions(secure=settings.review_url.startswith("https://"))
        desk = Desk(settings, book, loop, platform, refresher, sessions, PageIdentity(settings), oidc)
        app = build_app(desk)
        following = asyncio.ensure_future(refresher.forever())
        try:
            log.info("review_serving", url=settings.review_url, login="issuer" if oidc else "one-time links")
            await server(app, connections=400).serve(sockets=[taken])
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        log.info("review_stopped")


def run(settings: Settings) -> int:
    with tracing(settings, service="review") as telemetry:
        asyncio.run(serve(settings, telemetry))
    return 0


def main() -> int:
    argparse.ArgumentParser(prog="python -m review", description="The review page.", epilog=_EXPLAINED).parse_args()
    return enter(run)


if __name__ == "__main__":
    leave(main())
