"""User configuration, variables and flags: who wins, and where each value came from."""

import pytest
from pydantic import ValidationError

from llenergymeasure.config.settings import Place, effective_settings
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
    assert settings.place_of("vllm").at == "venv:/x"
    assert settings.place_of("pytorch").at == "local"


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


ENVIRONMENTS = {
    "environments": {
        "new": {"backend": "pytorch", "at": "venv:/new"},
        "old": {"backend": "pytorch", "at": "venv:/old"},
        "cpp": {"backend": "llamacpp", "at": "local"},
    },
    "runners": {"pytorch": "old", "llamacpp": "venv:/cpp"},
}


def test_a_place_is_a_named_environment_or_the_backends_runner():
    """A runner may name an environment; an experiment's own environment comes first and is kept by name."""
    settings = effective_settings(UserConfig.model_validate(ENVIRONMENTS), {}, {})
    assert settings.place_of("pytorch") == Place("pytorch", "venv:/old")
    assert settings.place_of("llamacpp") == Place("llamacpp", "venv:/cpp")
    assert settings.place_of("pytorch", "new") == Place("pytorch", "venv:/new", "new")
    assert settings.place_of("vllm") == Place("vllm", "local")


@pytest.mark.parametrize(
    ("backend", "name", "message", "hint"),
    [
        ("pytorch", "nwe", "environment 'nwe' is not in", "did you mean 'new'"),
        ("pytorch", "zzzz", "is not in", "known here: new, old, cpp"),
        ("pytorch", "cpp", "holds llamacpp, not pytorch", "another environment"),
    ],
)
def test_an_environment_that_is_not_there_is_told(backend, name, message, hint):
    """With what there is."""
    settings = effective_settings(UserConfig.model_validate(ENVIRONMENTS), {}, {})
    with pytest.raises(ConfigError, match=message) as refused:
        settings.place_of(backend, name)
    assert hint in refused.value.hint


def test_without_any_environment_the_line_to_add_is_shown():
    """It can be copied."""
    with pytest.raises(ConfigError) as refused:
        effective_settings(UserConfig(), {}, {}).place_of("pytorch", "new")
    assert "environments: {new: {backend: pytorch, at: 'venv:PATH'}}" in refused.value.hint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"environments": {"x": {"backend": "pytroch", "at": "local"}}}, "'pytroch' is not a backend"),
        ({"environments": {"x": {"backend": "pytorch", "at": "nowhere:/x"}}}, "not a place to run"),
        ({"environments": {"local": {"backend": "pytorch", "at": "local"}}}, "a kind of place already"),
        ({"environments": {"x": {"backend": "pytorch"}}}, "at"),
        ({**ENVIRONMENTS, "runners": {"pytorch": "cpp"}}, "environment 'cpp' holds llamacpp"),
        ({**ENVIRONMENTS, "runners": {"pytorch": "odl"}}, "'odl' is not a place to run"),
    ],
)
def test_environments_are_checked_when_they_are_read(data, message):
    """A place that nobody knows would never be looked at."""
    with pytest.raises(ValidationError, match=message):
        UserConfig.model_validate(data)
