"""User configuration, variables and flags: who wins, and where each value came from."""

import pytest

from llenergymeasure.config.settings import effective_settings
from llenergymeasure.config.user import UserConfig, load_user_config
from llenergymeasure.errors import ConfigError


def test_the_later_layer_wins_and_is_named():
    """Flag over variable over user configuration over built-in."""
    user = UserConfig.model_validate({"output": {"results_dir": "u"}, "measurement": {"region": "FR"}})
    variables = {"LLEM_RESULTS_DIR": "v", "LLEM_DATACENTER_PUE": "1.2", "LLEM_RUNNER_VLLM": "venv:/x", "OTHER": "1"}
    settings = effective_settings(user, variables, {"output.results_dir": "f"})
    rows = {key: (value, origin) for key, value, origin in settings.rows()}
    assert rows["output.results_dir"] == ("f", "flag")
    assert rows["measurement.datacenter_pue"] == (1.2, "LLEM_DATACENTER_PUE")
    assert rows["measurement.region"][0] == "FR"
    assert rows["measurement.region"][1].endswith("config.yaml")
    assert rows["ui.verbosity"] == ("normal", "built-in")
    assert settings.runner_of("vllm") == "venv:/x"
    assert settings.runner_of("pytorch") == "local"


def test_a_bad_variable_is_named():
    """The message says which variable holds the value."""
    with pytest.raises(ConfigError, match="LLEM_DATACENTER_PUE"):
        effective_settings(UserConfig(), {"LLEM_DATACENTER_PUE": "0.5"}, {})


def test_an_absent_file_is_fine_and_a_malformed_one_is_not(tmp_path):
    """The position of the mistake is told."""
    assert load_user_config(tmp_path / "config.yaml") == UserConfig()
    (tmp_path / "config.yaml").write_text("output:\n  result_dir: x\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:2: unknown key 'result_dir' \(did you mean 'results_dir'\?\)"):
        load_user_config(tmp_path / "config.yaml")
