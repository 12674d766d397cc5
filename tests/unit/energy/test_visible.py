"""CUDA_VISIBLE_DEVICES, as CUDA reads it."""

import pytest

from llenergymeasure.energy.visible import Gpu, visible_gpus
from llenergymeasure.errors import EnergyError

ALIKE = (Gpu("GPU-aa1", "H100"), Gpu("GPU-ab2", "H100"), Gpu("GPU-cc3", "H100"))
MIXED = (Gpu("GPU-aa1", "H100"), Gpu("GPU-ab2", "L4"))


@pytest.mark.parametrize(
    ("mask", "seen"),
    [
        (None, ("GPU-aa1", "GPU-ab2", "GPU-cc3")),
        ("", ()),
        ("1", ("GPU-ab2",)),
        ("2, 0", ("GPU-cc3", "GPU-aa1")),
        ("GPU-cc", ("GPU-cc3",)),
        ("GPU-a", ()),  # two begin so
        ("0,-1,2", ("GPU-aa1",)),  # what follows an entry that names none is hidden
        ("7,0", ()),
        ("1,1", ("GPU-ab2",)),
    ],
)
def test_the_mask_leaves_what_cuda_would_see(mask, seen):
    """In its order, up to the first entry that names no GPU."""
    assert visible_gpus(ALIKE, {} if mask is None else {"CUDA_VISIBLE_DEVICES": mask}) == seen


def test_indexes_among_different_boards_need_an_order():
    """CUDA counts the fastest first, which nobody here knows: refused, not guessed."""
    with pytest.raises(EnergyError) as refused:
        visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "0"})
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in refused.value.hint
    assert visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}) == ("GPU-ab2",)
    assert visible_gpus(MIXED, {"CUDA_VISIBLE_DEVICES": "GPU-ab2"}) == ("GPU-ab2",)
