"""What an experiment is called."""

from llenergymeasure.config.experiment import ExperimentConfig
from llenergymeasure.plan.resolve import label


def test_a_label_says_what_the_study_varies():
    """Model, backend, precision and batch always; then every other key that is varied, so that no two are called alike."""
    config = ExperimentConfig(model="hub/Some-Model", backend="pytorch")
    assert label(config, "bf16", 8) == "Some-Model / pytorch / bf16 / 8 parallel"
    varied = {"precision": "bf16", "pytorch.batch_size": 8, "lora.merge_weights": True, "decoder.max_new_tokens": 32}
    assert label(config, "bf16", 8, varied).endswith(" / 8 parallel / merge_weights yes / max_new_tokens 32")
    assert label(config, "as_stored", 1, {"pytorch.torch_compile": None}).endswith(
        "as stored / 1 parallel / torch_compile default"
    )
