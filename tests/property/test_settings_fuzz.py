"""The user's configuration and the variables, made at random: settings, or a message that helps."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llenergymeasure.config.settings import VARIABLES, Settings, effective_settings
from llenergymeasure.config.user import UserConfig, load_user_config
from llenergymeasure.errors import ConfigError
from llenergymeasure.testing.broken_texts import case, kinds
from llenergymeasure.testing.config_texts import as_yaml
from llenergymeasure.testing.refusals import shortcomings

VALID = {
    "output": {"results_dir": "~/results", "model_cache_dir": "/models"},
    "runners": {"pytorch": "venv:~/envs/torch", "llamacpp": "local"},
    "measurement": {"energy_source": "auto", "region": "NO", "datacenter_pue": 1.2, "currency": "EUR"},
    "execution": {"config_gap_seconds": 1},
    "ui": {"verbosity": "quiet"},
    "advanced": {"sampling_hz": 10, "silence_seconds": {"load": 60}},
}
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)
_KEYS = sorted({*VALID, *(key for section in VALID.values() for key in section), "outptu", "load"})


def load(path, content):
    """The user's configuration in these bytes, or ``None`` after a refusal, which is complete."""
    path.write_bytes(content)
    try:
        return load_user_config(path)
    except ConfigError as error:
        assert not list(shortcomings(str(error), error.hint, str(path), content)), f"{content[:1000]!r}\n{error}"
        return None


@pytest.mark.parametrize("kind", kinds())
def test_any_file_is_settings_or_refused(tmp_path, kind):
    """What breaks an experiment file breaks this one no worse."""
    loaded = [load(tmp_path / "config.yaml", case(Random(seed), kind).content) for seed in range(6)]
    assert all(
        found == UserConfig() if kind == "empty" else found is None or isinstance(found, UserConfig) for found in loaded
    )


@given(
    st.dictionaries(
        st.sampled_from(_KEYS), st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=2) | _VALUES, max_size=3
    ),
    st.randoms(use_true_random=False),
)
def test_any_values_under_its_keys(tmp_path_factory, data, random):
    """Every mistake is told with file, line and suggestion."""
    load(tmp_path_factory.getbasetemp() / "user.yaml", as_yaml({**VALID, **data}, random).encode())


def test_a_file_without_settings_changes_nothing(tmp_path):
    """Comments alone, as ``llem config --init`` may leave them, are no mistake."""
    assert load(tmp_path / "config.yaml", b"# runners:\n#   pytorch: local\n") == UserConfig()
    assert load(tmp_path / "config.yaml", as_yaml(VALID, Random(0)).encode()) == UserConfig.model_validate(VALID)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runners:\n  pytroch: local\n", ":2: 'pytroch' is not a backend (did you mean 'pytorch'?)"),
        ("runners:\n  pytorch: /envs/torch\n", ":2: runners.pytorch: '/envs/torch' is not a place to run"),
        ("outptu: {}\n", ":1: unknown key 'outptu' (did you mean 'output'?)"),
        ("ui:\n  verbosity: quite\n", "found 'quite' (did you mean 'quiet'?)"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path, text, said):
    """A runner that would never be looked at is one of them."""
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_user_config(path)
    assert said in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(sorted(VARIABLES)) | st.text(max_size=5).map(lambda name: f"LLEM_RUNNER_{name}"),
        st.text(max_size=8) | st.sampled_from(["1e999", "nan", "-1", "local", "venv:", "NO", "quiet", "1.5"]),
        max_size=3,
    )
)
def test_variables_are_taken_or_named(variables):
    """A variable that makes no sense is named in the message."""
    try:
        assert isinstance(effective_settings(UserConfig(), variables, {}), Settings)
    except ConfigError as error:
        assert any(name in str(error) for name in variables), f"{variables}\n{error}"


def test_text_in_a_variable_is_text():
    """A results directory may be called 2024, ``no`` or ``~``; a number is a number."""
    given_here = {"LLEM_RESULTS_DIR": "2024", "LLEM_REGION": "NO", "LLEM_CARBON_INTENSITY": "56"}
    settings = effective_settings(UserConfig(), given_here, {})
    assert settings.values.output.results_dir == "2024"
    assert settings.values.measurement.region == "NO"
    assert settings.values.measurement.carbon_intensity_gco2_kwh == 56
