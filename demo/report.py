"""What the demo leaves in its folder: summary.json, plot.svg, index.html, beside the audit chain and the manifests."""

import time

from demo.incidents import closed_incidents
from demo.page import render
from demo.picture import draw
from demo.place import ENDPOINT
from demo.reviewer import NAME
from demo.run import Played, Run
from demo.summary import Summary, claims, summarise
from platforms.files import write_atomic


def write_report(run: Run, played: Played, began: float) -> Summary:
    """`began` is the monotonic time at which the demo began. The summary is written last: where it is, all is."""
    home = run.place.home
    incidents = closed_incidents(run.platform.audit, ENDPOINT)
    write_atomic(home / "plot.svg", draw(played.replay, played.others, incidents))
    summary = summarise(
        endpoint=ENDPOINT,
        replay=played.replay,
        baselines=played.others,
        incidents=incidents,
        fates=played.fates,
        reviewer="you" if run.by_person else NAME,
        verification=run.platform.audit.verify(),
        left=len(run.platform.inventory.list()),
        wall_seconds=time.monotonic() - began,
    )
    write_atomic(home / "index.html", render(summary, claims(summary), incidents))
    write_atomic(home / "summary.json", summary.model_dump_json(indent=2).encode() + b"\n")
    run.screen.say(f"report        {(home / 'index.html').as_uri()}", "bold")
    return summary
