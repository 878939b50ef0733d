"""The diagnostics page: self-contained, readable, escaped, and the same bytes for the same evidence."""

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import numpy as np
import pytest

from activities.diagnostic_figure import compact
from activities.diagnostic_rows import by_period
from activities.diagnostics import render
from contracts.evaluation import Evidence, GatePolicy, Judgement, RefitReport, Verdict
from contracts.snapshot import Coverage, Retrieval, Snapshot, Window
from contracts.training import DatasetRef, Task
from policies.gate import judge
from policies.metrics import log_loss
from policies.paired import PairedScores

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(days=14), end=NOW)
EVIDENCE = Evidence(
    uri="file:evidence",
    digest="b" * 64,
    holdout_rows=400,
    replay_rows=400,
    replay_labelled=400,
    compared=WINDOW,
    champion="c" * 64,
    challenger="d" * 64,
    refit="e" * 64,
)
SNAPSHOT = Snapshot(
    dataset=DatasetRef(uri="file:data", sha256="a" * 64, rows=400),
    query="SELECT * FROM bikes WHERE event_time < '2026-03-01'",
    as_of=NOW,
    window=WINDOW,
    cut=WINDOW.start,
    holdout=WINDOW,
    coverage=Coverage(),
    fingerprint="a" * 64,
)


def _pair(rows: int = 400) -> PairedScores:
    rng = np.random.default_rng(4)
    logit = rng.normal(0, 2, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    return PairedScores(
        day=20_000 + np.arange(rows) % 14,
        label=label,
        champion=1 / (1 + np.exp(-logit - rng.normal(0, 2, rows))),
        challenger=1 / (1 + np.exp(-logit)),
    )


PAIR = _pair()
SWAPPED = PairedScores(day=PAIR.day, label=PAIR.label, champion=PAIR.challenger, challenger=PAIR.champion)


def _judged(pair: PairedScores, *, first: bool = False) -> Judgement:
    return judge(
        holdout=pair,
        replay=pair,
        gate=GatePolicy(resamples=200),
        threshold=0.5,
        champion_trained_through=None if first else NOW - timedelta(days=60),
        challenger_trained_through=NOW,
        weeks_since_promotion=5.0,
        evidence_digest=EVIDENCE.digest,
    )


def _render(
    pair: PairedScores = PAIR,
    judgement: Judgement | None = None,
    *,
    evidence: Evidence = EVIDENCE,
    snapshot: Snapshot | None = SNAPSHOT,
    alarms: tuple[str, ...] = ("accuracy .71, threshold .85",),
) -> dict[str, bytes]:
    return render(
        judgement=judgement or _judged(pair),
        evidence=evidence,
        snapshot=snapshot,
        holdout=pair,
        replay=pair,
        endpoint="bikes",
        incident="20260301T000000Z-ab12cd",
        alarms=alarms,
    )


def _page(pair: PairedScores = PAIR, **changed: object) -> str:
    return _render(pair, **changed)["report.html"].decode()  # type: ignore[arg-type]


class _Outline(HTMLParser):
    """Tags still open, ids seen, and what the page would load."""

    _VOID = frozenset({"meta", "br", "path", "use", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._note(dict(attrs))
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._note(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._VOID:
            assert self.open.pop() == tag

    def _note(self, attributes: dict[str, str | None]) -> None:
        self.ids += [attributes["id"] or ""] if "id" in attributes else []
        self.loads += [value or "" for name, value in attributes.items() if name in {"src", "href", "action", "style"}]


def test_the_page_is_well_formed_and_loads_and_runs_nothing() -> None:
    page = _page()
    outline = _Outline(page)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids)) > 0
    assert not outline.tags & {"script", "link", "iframe", "img", "object", "form"}
    assert all(load.startswith("#") or "//" not in load for load in outline.loads)
    assert "@import" not in page


def test_every_reference_within_the_page_has_its_target() -> None:
    page = _page()
    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', page)) <= set(_Outline(page).ids)


def test_the_same_evidence_gives_the_same_bytes() -> None:
    assert _render() == _render()


def test_the_page_opens_with_the_verdict_and_its_sentence() -> None:
    judgement = _judged(PAIR)
    page = _page(judgement=judgement)
    assert judgement.verdict is Verdict.PROMOTE
    assert page.index("<b>promote</b>") < page.index(judgement.sentence.replace("'", "&#39;")) < page.index("<table")
    assert "guard holds" in page


def test_a_regress_says_in_words_which_guard_and_which_condition_failed() -> None:
    page = _page(SWAPPED)
    assert "<b>regress</b>" in page
    assert "guard fails: worse by more than its margin" in page
    assert "does not hold" in page


def test_hashes_window_query_alarms_policy_and_refit_stand_on_the_page() -> None:
    report = RefitReport(agrees=True, rows=400, disagreement=0.03, score_shift=0.1, sentence="the refit agrees.")
    page = _page(judgement=_judged(PAIR).model_copy(update={"refit": report}))
    for text in (
        "b" * 64,
        "c" * 64,
        "d" * 64,
        "e" * 64,
        "a" * 64,
        "2026-02-15 00:00 to 2026-03-01 00:00 UTC",
        "SELECT * FROM bikes",
        "accuracy .71, threshold .85",
        "max_score_shift",
        "the refit agrees.",
    ):
        assert text in page


def test_text_from_outside_is_escaped() -> None:
    page = _page(alarms=("<script>alert(1)</script>",))
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_without_labels_the_page_says_that_nothing_could_be_compared() -> None:
    page = _page(PairedScores.empty())
    assert "too few labelled rows to compare anything" in page
    assert "<svg" not in page
    assert "missing evidence, not a pass" in page


def test_the_first_champion_is_shown_against_the_base_rate() -> None:
    constant = PairedScores(day=PAIR.day, label=PAIR.label, champion=np.full(len(PAIR), 0.5), challenger=PAIR.challenger)
    evidence = EVIDENCE.model_copy(update={"champion": None})
    page = _page(constant, judgement=_judged(constant, first=True), evidence=evidence, snapshot=None)
    assert ">base rate</th>" in page
    assert "the constant base rate stands in" in page


@pytest.mark.parametrize("pair", [PAIR, SWAPPED, PairedScores.empty()])
def test_the_judgement_file_reads_back_as_the_judgement(pair: PairedScores) -> None:
    judgement = _judged(pair)
    content = _render(pair, judgement)["judgement.json"]
    assert json.loads(content)["verdict"] == judgement.verdict
    assert Judgement.model_validate_json(content) == judgement


def test_a_page_of_many_rows_stays_small() -> None:
    many = _pair(20_000)
    assert len(_page(many)) < 200_000


def test_a_regression_of_large_numbers_is_drawn_with_short_labels_and_its_errors_are_explained() -> None:
    rng = np.random.default_rng(5)
    label = 1e6 + 2e5 * rng.normal(size=400)
    champion, challenger = (label + spread * rng.normal(size=400) for spread in (9e4, 4e4))
    page = _render(PairedScores(PAIR.day, label, champion, challenger, Task.REGRESSION))["report.html"].decode()
    assert re.search(r">[\d.]+G</text>", page), "squared errors of ten digits"
    assert re.search(r">[\d.]+(M|k)</text>", page), "predictions"
    assert "1e" not in re.sub(r"<path[^>]*>", "", "".join(re.findall(r"<text[^>]*>([^<]*)</text>", page)))
    assert "so many of all rows have an error of at most" in page
    assert '<th scope="col" class="n">95 %</th>' in page


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (-12_000.0, "-12k"), (3.5e7, "35M"), (1_000_050.0, "1.00005M"), (250.0, "250")]
)
def test_large_numbers_are_written_short(value: float, text: str) -> None:
    assert compact(value) == text


def test_the_benchs_record_is_cut_into_its_periods_counted_back_from_the_verdict() -> None:
    end = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=20_013, hours=5)
    periods = by_period(PAIR, "log_loss", timedelta(days=7), end)
    assert [(f"{p.start:%Y-%m-%d}", p.rows) for p in periods] == [("2024-10-04", 203), ("2024-10-11", 197)]
    weighted = sum(p.rows * p.loss["blend"] for p in periods) / 400
    assert weighted == pytest.approx(log_loss(PAIR.label, PAIR.challenger))
    assert all(p.loss["blend"] < p.loss["champion"] for p in periods)


def test_what_fetching_the_rows_took_stands_beside_the_query() -> None:
    took = Retrieval(
        source="feature-group:bikes", engine="athena", query_id="q-17", scanned_bytes=12_345_678, cost_usd=0.00005616
    )
    page = _page(PAIR, snapshot=SNAPSHOT.model_copy(update={"retrieval": took}))
    assert "feature-group:bikes by athena, query q-17: 12,345,678 bytes scanned, $0.000056" in page
