"""The local instances under load, and what they leave behind: nothing is lost while they swap, come and go."""

from typing import Any

import pytest

from platforms.ports import Serving

pytestmark = pytest.mark.processes


@pytest.fixture
def register(supervisor: Any, tools: Any) -> Any:
    return lambda endpoint, seed=1: tools.make_model(supervisor.home, endpoint, seed)


def test_swaps_under_load_lose_no_call(supervisor: Any, register: Any, tools: Any) -> None:
    models = [register("swap", seed) for seed in (1, 2, 3)]
    url = supervisor.deploy(models[0], "k0", instances=2).url
    with tools.under_load(url) as load:
        for number, model in enumerate(models[1:], start=1):
            supervisor.deploy(model, f"k{number}", instances=2)
            load.wait_for(20)
    assert load.failures == []
    assert load.models == {model.digest for model in models}


def test_scaling_up_and_down_under_load_loses_no_call(supervisor: Any, serving: Serving, register: Any, tools: Any) -> None:
    model = register("scale")
    url = supervisor.deploy(model, "k1").url
    with tools.under_load(url) as load:
        assert supervisor.deploy(model, "k3", instances=3).ready == 3
        load.wait_for(50)
        supervisor.deploy(model, "k2", instances=1)
        tools.eventually("one instance is left", lambda: serving.describe("scale").instances == 1)
        tools.eventually("the others have left", lambda: len(supervisor.instances("scale")) == 1)
        load.wait_for(50)
    assert load.failures == []
    assert serving.describe("scale").url == url
