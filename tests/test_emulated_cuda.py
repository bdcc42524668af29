"""The emulated GPU is there for the tests that need one, and for no other."""

import pytest

import mechanet as mn


@pytest.mark.gpu
def test_a_test_that_needs_a_gpu_finds_two(emulator):
    assert [device.name for device in mn.devices() if device.usable] == ["cpu", "cuda:0", "cuda:1"]
    assert mn.Network([mn.Dense(2)], input_shape=(3,), device="auto").device == "cuda:0"


def test_every_other_test_finds_none(emulator):
    with pytest.raises(mn.DeviceError, match="the NVIDIA driver is there but shows none"):
        mn.Network([mn.Dense(2)], input_shape=(3,), device="cuda")
    assert mn.Network([mn.Dense(2)], input_shape=(3,), device="auto").device == "cpu"
