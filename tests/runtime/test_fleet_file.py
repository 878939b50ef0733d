"""The fleet file: every mistake at once, each with its line; nothing in the text can surprise."""

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.bench import Judging
from contracts.fleet import EndpointPolicy, Fleet
from runtime import fleet_file
from runtime.fleet_file import FleetFileError, load
from runtime.fleet_schema import render, schema

ROOT = Path(__file__).parents[2]
GOOD = """\
version: 1
endpoints:
  bikes:
    team: growth
    cost_center: cc-1
    data: {table: bikes, features: [hour], label: busy}
"""


def problems(tmp_path: Path, text: str) -> list[str]:
    """What `load` says, a line each, without the file's name."""
    path = tmp_path / "fleet.yaml"
    path.write_bytes(dedent(text).encode("utf-8", "surrogatepass"))
    with pytest.raises(FleetFileError) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def loaded(tmp_path: Path, text: str) -> Fleet:
    path = tmp_path / "fleet.yaml"
    path.write_text(dedent(text))
    return load(path)


def test_the_example_at_the_root_loads() -> None:
    fleet = load(ROOT / "fleet.yaml")
    assert fleet.endpoints["bikes"].training.recipe.horizons == (timedelta(days=30), timedelta(days=90), "all")
    assert fleet.endpoints["bikes"].team == "growth"


def test_the_schema_file_is_current() -> None:
    stale = "write it again: python -m runtime.fleet_file --schema > fleet.schema.json"
    assert (ROOT / "fleet.schema.json").read_text() == render(), stale
    assert (ROOT / "fleet.yaml").read_text().startswith("# yaml-language-server: $schema=fleet.schema.json\n")


def test_the_schema_knows_defaults_and_says_how_durations_are_written() -> None:
    made = schema()
    holdout = made["$defs"]["GatePolicy"]["properties"]["holdout"]
    assert holdout["default"] == "14d"
    assert "30d" in holdout["description"]
    assert made["properties"]["defaults"]["$ref"] == "#/$defs/EndpointPolicy"
    assert "required" not in made["$defs"]["DataPolicy"], "defaults may bring what an endpoint leaves out"
    assert json.loads(render()) == made


def test_every_mistake_is_named_with_line_field_what_was_read_and_what_is_allowed(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        """\
        version: 1
        endpoints:
          bikes:
            teem: growth
            team: growth
            cost_center: 4711
            serving: {instances: many}
            data: {table: bikes, label: busy}
            gate:
              primary: acc
              holdout: 14
              min_rows: 0
              max_score_shift: .inf
            review:
              timeout: tomorrow
            rollout:
            training: {recipe: {horizons: [soon]}}
        """,
    )
    assert said == [
        f"4: endpoints.bikes.teem: is unknown; did you mean 'team'? known here: {', '.join(EndpointPolicy.model_fields)}",
        "6: endpoints.bikes.cost_center: read '4711'; should be text; put it in quotes",
        "7: endpoints.bikes.serving.instances: read 'many'; should be a valid integer",
        "8: endpoints.bikes.data.features: is missing",
        "10: endpoints.bikes.gate.primary: read 'acc'; allowed: log_loss, brier, squared_error, absolute_error",
        "11: endpoints.bikes.gate.holdout: read '14'; a duration needs a unit, for example '90s', '15m', '12h', '30d' or '2w'",
        "12: endpoints.bikes.gate.min_rows: read '0'; should be greater than or equal to 1",
        "13: endpoints.bikes.gate.max_score_shift: read '.inf'; should be a finite number",
        "15: endpoints.bikes.review.timeout: read 'tomorrow'; write a duration such as 90s, 15m, 12h, 30d or 2w",
        "16: endpoints.bikes.rollout: read nothing; should be a mapping",
        "17: endpoints.bikes.training.recipe.horizons.0: read 'soon'; write a duration such as 90s, 15m, 12h, 30d or 2w, or allowed: all",
    ]


def test_an_endpoint_takes_from_defaults_what_it_does_not_say_itself(tmp_path: Path) -> None:
    fleet = loaded(
        tmp_path,
        """\
        version: 1
        defaults:
          team: growth
          cost_center: cc-1
          gate: {min_rows: 200, margins: {recall: 0.1, accuracy: 0.02}}
        endpoints:
          bikes:
            data: {table: bikes, features: [hour], label: busy}
            gate: {margins: {recall: 0.2}}
          taxis:
            team: city
            data: {table: taxis, features: [hour], label: late}
        """,
    )
    bikes, taxis = fleet.endpoints["bikes"], fleet.endpoints["taxis"]
    assert (bikes.team, taxis.team) == ("growth", "city")
    assert (bikes.gate.min_rows, bikes.gate.margins) == (200, {"recall": 0.2, "accuracy": 0.02})
    assert taxis.gate.margins == {"recall": 0.1, "accuracy": 0.02}


def test_a_mistake_in_defaults_is_named_once_and_there(tmp_path: Path) -> None:
    text = GOOD.replace("endpoints:", "defaults:\n  gate:\n    primary: acc\nendpoints:") + GOOD.partition("endpoints:\n")[
        2
    ].replace("bikes:", "taxis:", 1)
    assert problems(tmp_path, text) == [
        "4: defaults.gate.primary: read 'acc'; allowed: log_loss, brier, squared_error, absolute_error"
    ]


def test_duplicate_keys_are_refused_beside_all_other_mistakes(tmp_path: Path) -> None:
    said = problems(tmp_path, GOOD + "    team: other\n    review: {default: gold}\n")
    assert said == [
        "7: endpoints.bikes: the key 'team' stands here twice, first on line 4",
        "8: endpoints.bikes.review.default: read 'gold'; allowed: keep, promote",
    ]


def test_words_that_yaml_takes_for_booleans_and_dates_stay_words(tmp_path: Path) -> None:
    fleet = loaded(tmp_path, GOOD.replace("growth", "no").replace("cc-1", "2024-01-01").replace("[hour]", "[on, off]"))
    bikes = fleet.endpoints["bikes"]
    assert (bikes.team, bikes.cost_center, bikes.data.features) == ("no", "2024-01-01", ("on", "off"))


def test_true_is_no_number(tmp_path: Path) -> None:
    assert problems(tmp_path, GOOD + "    serving: {port: true}\n") == [
        "7: endpoints.bikes.serving.port: read 'true'; should be a valid integer"
    ]


def test_a_bad_endpoint_name_says_what_a_name_may_hold(tmp_path: Path) -> None:
    said = problems(tmp_path, GOOD.replace("bikes:", "'../bikes':", 1))
    assert said == ["3: endpoints.../bikes: a name is 1 to 63 letters, digits and hyphens, with no hyphen at either end"]


def test_a_rule_between_fields_points_at_the_endpoint(tmp_path: Path) -> None:
    said = problems(tmp_path, GOOD.replace("label: busy", "label: hour"))
    assert said == ["3: endpoints.bikes: the label 'hour' can't be one of data.features"]


BOMB = "version: 1\na: &a [x, x]\nb: &b [*a, *a]\nendpoints: *b\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "2: file: anchors and aliases aren't allowed; use `defaults`"),
        (GOOD + "    <<: {team: x}\n", "7: endpoints.bikes: the merge key '<<' isn't allowed; use `defaults`"),
        (
            "a: !!python/object/apply:os.system [x]\n",
            "1: file: the tag 'tag:yaml.org,2002:python/object/apply:os.system' isn't allowed",
        ),
        ("a: " + "[" * 5000, "1: file: is nested deeper than 30 levels"),
        ("a: [1\nb: 2\n", "2: file: isn't YAML:"),
        ("a: 1\n---\nb: 1\n", "2: file: isn't YAML: expected a single document"),
        ("", "1: file: should be a mapping with `version` and `endpoints`"),
        ("- 1\n", "1: file: should be a mapping"),
        ("a: \x07\n", "1: file: isn't YAML"),
        ("a: \ud800\n", "1: file: isn't UTF-8 text"),
        ("? [1, 2]\n: 3\n" + GOOD, "1: file: a key should be plain text"),
        ("version: 1\ndefaults: 3\nendpoints: 4\n", "2: defaults: should be a mapping, as one endpoint's is"),
        ("version: 1\nendpoints: {}\n", "2: endpoints: read a mapping; "),
        ("#" * 1_048_577, "1: file: is larger than 1048576 bytes"),
    ],
    ids=lambda value: value[:20].strip(),
)
def test_what_can_not_be_a_fleet_file_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, text)[0].startswith(said)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetFileError, match=r"none\.yaml:1: file: can't be read: No such file or directory"):
        load(tmp_path / "none.yaml")


def test_the_command_line_checks_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(GOOD)
    assert fleet_file.main([str(path)]) == 0
    path.write_text(GOOD + "    review: {default: gold}\n")
    assert fleet_file.main([str(path)]) == 65
    assert fleet_file.main(["--schema"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith(render())
    assert err == f"{path}:7: endpoints.bikes.review.default: read 'gold'; allowed: keep, promote\n"


FRAGMENTS = st.sampled_from(
    [
        "version: 1\n",
        "endpoints:\n",
        "  bikes:\n",
        "    gate: {",
        "}",
        "[",
        "]",
        "*a",
        "&a ",
        "!!x ",
        "? ",
        ": ",
        "- ",
        "|\n",
        "'",
        '"',
        "<<: ",
    ]
)


@given(st.lists(FRAGMENTS | st.text(max_size=8)).map("".join))
def test_no_text_brings_anything_but_a_fleet_file_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with suppress(FleetFileError):
        load(path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), lambda v: st.lists(v, max_size=3), max_leaves=4
)
SECTIONS = ("team", "data", "training", "gate", "review", "rollout", "intake", "serving", "monitor", "nonsense")


@given(
    st.dictionaries(
        st.sampled_from(SECTIONS), VALUES | st.dictionaries(st.sampled_from(["timeout", "holdout", "port", "recipe"]), VALUES)
    )
)
def test_no_value_brings_anything_but_a_fleet_file_error(
    tmp_path_factory: pytest.TempPathFactory, endpoint: dict[str, object]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(json.dumps({"version": 1, "endpoints": {"bikes": endpoint}}), encoding="utf-8")
    with suppress(FleetFileError):
        load(path)


BENCH_WORDS = [
    ("bench: {period: 14d}", "bench"),
    ("recipe: {horizons: [30d, all], blends: {long: [all]}}", "recipe.blends"),
]


@pytest.mark.parametrize(("words", "field"), BENCH_WORDS)
def test_what_only_the_bench_reads_is_refused_where_it_does_not_judge(tmp_path: Path, words: str, field: str) -> None:
    said = problems(tmp_path, f"{GOOD}    training: {{{words}}}\n")
    assert said == [
        f"7: endpoints.bikes.training.{field}: counts only with `training.judging: shadow`; declare that, or leave it out"
    ]


@pytest.mark.parametrize("words", ["", *(f", {words}" for words, _ in BENCH_WORDS)], ids=["its own", "bench", "blends"])
def test_the_shadow_bench_can_be_asked_for_with_all_its_words(tmp_path: Path, words: str) -> None:
    fleet = loaded(tmp_path, f"{GOOD}    training: {{judging: shadow{words}}}\n")
    assert fleet.endpoints["bikes"].training.judging is Judging.SHADOW


def test_a_primary_metric_of_another_task_is_refused_where_it_is_declared(tmp_path: Path) -> None:
    said = problems(tmp_path, f"{GOOD}    gate: {{primary: squared_error}}\n")
    assert len(said) == 1
    assert "gate.primary of a binary task is one of log_loss, brier" in said[0]


MULTICLASS = "task: multiclass, classes: [calm, busy, full]"


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        ("slices: [hour]", ""),
        (MULTICLASS, "gate: {primary: brier, margins: {macro_recall: 0.1}, dry: [macro_auc]}"),
        ("task: regression", "gate: {primary: absolute_error, margins: {bias: 0.1}}"),
        ("task: regression, slices: [hour]", "rollout: {watch_margin: 0.01}"),
    ],
)
def test_every_task_and_slices_are_taken(tmp_path: Path, data: str, rest: str) -> None:
    fleet = loaded(tmp_path, GOOD.replace("label: busy", f"label: busy, {data}") + (f"    {rest}\n" if rest else ""))
    assert fleet == Fleet.model_validate_json(fleet.model_dump_json())


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("task: multiclass", "a multiclass task needs classes: the names of at least two, in the order of their numbers from 0"),
        ("task: multiclass, classes: [busy]", "a multiclass task needs classes: the names of at least two"),
        ("task: multiclass, classes: [a, b, a]", "classes names one twice: a, b, a"),
        ("classes: [calm, busy]", "classes are named, but the task is binary: say task: multiclass, or leave them out"),
        ("task: regression, classes: [calm, busy]", "classes are named, but the task is regression"),
        ("slices: [hour, hour]", "slices names one twice: hour, hour"),
        ("slices: [rain]", "slices names rain, which features doesn't list"),
    ],
)
def test_classes_and_slices_that_can_not_be_are_refused_where_the_data_is_declared(tmp_path: Path, data: str, says: str) -> None:
    (said,) = problems(tmp_path, GOOD.replace("label: busy", f"label: busy, {data}"))
    assert said.startswith(f"6: endpoints.bikes.data: {says}")


@pytest.mark.parametrize(
    ("data", "rest", "says"),
    [
        ("task: regression", "serving: {threshold: 0.3}", "serving.threshold belongs to a binary task; the task is regression"),
        (
            MULTICLASS,
            "serving: {costs: {false_positive: 1, false_negative: 4}}",
            "serving.costs make a threshold, and only a binary",
        ),
        (
            "task: regression",
            "gate: {primary: brier}",
            "gate.primary of a regression task is one of squared_error, absolute_error",
        ),
        (
            "task: regression",
            "gate: {margins: {recall: 0.1}}",
            "gate.margins names recall; a regression task is judged by squared_er",
        ),
        ("task: binary", "gate: {dry: [rmse]}", "gate.dry names rmse; a binary task is judged by log_loss, brier"),
    ],
)
def test_what_belongs_to_another_task_is_refused(tmp_path: Path, data: str, rest: str, says: str) -> None:
    (said,) = problems(tmp_path, GOOD.replace("label: busy", f"label: busy, {data}") + f"    {rest}\n")
    assert said.startswith(f"3: endpoints.bikes: {says}")
