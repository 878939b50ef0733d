"""The plot and the page."""

from xml.etree import ElementTree as ET

from demo_stories import incident, others, replay, summary

from contracts.incident import Outcome
from contracts.review import Resolution
from demo.page import render
from demo.picture import draw
from demo.summary import claims

INCIDENTS = [
    incident(1),
    incident(2, review=Resolution.APPROVED),
    incident(2, outcome=Outcome.HELD, review=Resolution.REJECTED),
    incident(2, outcome=Outcome.ROLLED_BACK),
]


def test_the_same_replay_draws_the_same_bytes() -> None:
    played = replay()
    assert draw(played, others(played), INCIDENTS) == draw(played, others(played), INCIDENTS)


def test_the_plot_is_well_formed_names_the_three_ways_and_follows_dark_mode() -> None:
    played = replay()
    drawn = draw(played, others(played), INCIDENTS)
    text = " ".join(ET.fromstring(drawn).itertext())
    assert all(name in text for name in ("homeostat", "never retrained", "retrained weekly", "promoted by itself"))
    assert "prefers-color-scheme: dark" in text


def test_a_week_with_no_answer_at_all_leaves_a_gap_and_no_error() -> None:
    played = replay()
    played.served.score[:168] = float("nan")
    assert draw(played, others(played), [])


def test_the_page_links_to_each_report_and_escapes_what_people_wrote() -> None:
    found = summary()
    page = render(found, claims(found), INCIDENTS).decode()
    assert 'href="evidence/bikes/one/report.html"' in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_page_reaches_nothing_on_the_network() -> None:
    found = summary()
    page = render(found, claims(found), INCIDENTS).decode()
    assert "http" not in page.replace("http-equiv", "")
