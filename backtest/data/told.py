"""What was found in the data, as figures and in words."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from backtest.data.findings import MOST_NAMED
from backtest.data.history import PlayedHistory
from backtest.data.reading import Material
from backtest.data.watched import Watched
from contracts.training import Task

_COUNTED = (
    "rows_read",
    "rejected_lines",
    "rows_without_time",
    "event_times_missing",
    "rows_in_the_future",
    "stray_rows",
    "rows_out_of_order",
    "rows_at_equal_times",
    "repeated_rows",
    "repeated_ids",
    "repeats_dropped",
    "labels_without_time",
    "labels_before_their_event",
    "renamed_columns",
)


def data_findings(history: PlayedHistory, watched: Watched) -> dict[str, Any]:
    """Every count, also those that are 0."""
    material = history.material
    findings, features = material.findings, watched.finish()
    return {
        **{name: int(findings.counts[name]) for name in _COUNTED},
        "rows_played": watched.counts["rows_played"],
        "rows_in_first_window": watched.counts["rows_in_first_window"],
        "labels_missing": watched.counts["labels_missing"],
        "label": _label(material),
        "holes": findings.holes,
        "periods_without_rows": len(watched.empty),
        "periods_with_one_class": [f"{start:%Y-%m-%d}" for start in watched.one_class[:MOST_NAMED]],
        "periods_with_one_class_count": len(watched.one_class),
        "features": {name: asdict(findings.of(name)) | asdict(watch) for name, watch in features.items()},
        "categories": {name: len(names.names) for name, names in material.reader.categories.items()},
        "notes": told_in_words(history, watched),
    }


def _label(material: Material) -> dict[str, Any]:
    found = {name: value for name, value in asdict(material.findings.label).items() if name != "kind"}
    if material.card.task is Task.MULTICLASS:
        return found | {"classes": list(material.classes)}
    return found


def told_in_words(history: PlayedHistory, watched: Watched) -> list[str]:
    """What a reader should know, what matters most first."""
    findings = history.material.findings
    features = watched.finish()
    return [*_of_rows(history), *_of_labels(history, watched), *_of_features(history, features), *findings.notes]


def _of_rows(history: PlayedHistory) -> Iterator[str]:
    counts = history.material.findings.counts
    said = {
        "rejected_lines": "lines have more or fewer columns than the header: left out.",
        "rows_without_time": "rows have no event time that can be read: left out.",
        "stray_rows": "rows lie more than a year away from all others: left out.",
        "repeats_dropped": "rows stand there again: dropped.",
        "rows_out_of_order": "rows are out of order: sorted by their event time.",
    }
    yield from (f"{counts[name]:,} {text}" for name, text in said.items() if counts[name])
    if counts["rows_in_the_future"]:
        left = "left out" if history.material.spill.until is not None else "played, since most of the file is"
        yield f"{counts['rows_in_the_future']:,} rows lie in the future: {left}."
    for hole in history.material.findings.holes[:5]:
        yield f"No rows from {hole['from']} to {hole['to']} ({hole['days']} days)."


def _of_labels(history: PlayedHistory, watched: Watched) -> Iterator[str]:
    counts, label = history.material.findings.counts, history.material.findings.label
    if watched.counts["labels_missing"]:
        yield f"{watched.counts['labels_missing']:,} rows have no label: served, but neither learned from nor scored."
    if label.unreadable:
        yield f"{label.unreadable:,} labels can't be read, such as {label.example!r}: taken as missing."
    if label.absurd:
        yield f"{label.absurd:,} labels are infinite or absurdly large: taken as missing."
    if counts["labels_without_time"]:
        use = "the delay of the card was used" if history.material.card.label_delay else "never learned from"
        yield f"{counts['labels_without_time']:,} labels have no time of arrival: {use}."
    if counts["labels_before_their_event"]:
        yield f"{counts['labels_before_their_event']:,} labels arrive before their event: taken to arrive with it."
    if watched.one_class:
        yield f"{len(watched.one_class)} periods have labels of one class only."


def _of_features(history: PlayedHistory, features: dict[str, Any]) -> Iterator[str]:
    read = history.material.findings.features
    for name, watch in features.items():
        found, told = read[name], list[str]()
        told += [f"{found.unreadable:,} values can't be read, such as {found.example!r}: taken as missing"] * bool(
            found.unreadable
        )
        told += [f"{found.absurd:,} values are infinite or beyond 1e30: taken as missing"] * bool(found.absurd)
        told += [f"{watch.far_outside:,} values lie far outside of what the first window had: kept"] * bool(watch.far_outside)
        told += [f"{watch.negative:,} negative values where the first window had none: kept"] * bool(watch.negative)
        told += [f"{watch.unseen:,} rows with categories that the first window did not have"] * bool(watch.unseen)
        told += [f"missing everywhere in {watch.emptied_in} periods"] * bool(watch.emptied_in)
        told += ["never changes"] * watch.constant
        if told:
            yield f"{name}: {'; '.join(told)}."
