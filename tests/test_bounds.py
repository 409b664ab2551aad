"""Bounds of numbers: whatever is far above anything useful is refused by its key before it fills memory or time."""

import pkgutil
from importlib import import_module
from typing import Any, get_args, get_origin

import pytest
from pydantic import ValidationError
from tests.test_config import refusal

import pixelplay
from pixelplay.cli import load_config
from pixelplay.config import Config
from pixelplay.detectors import registry
from pixelplay.errors import ConfigError
from pixelplay.settings import Settings

LARGE = 10**12
HARMLESS = {  # nothing grows with them
    "CompositeConfig.power": "a power of ratios in [0, 1]",
    "DatasetConfig.value_range": "values of an image",
    "FusionConfig.power": "a power of ratios in [0, 1]",
    "MemberConfig.weight": "divided by the sum of all weights",
    "FusionConfig.bounds": "bounds of a score",
    "NormaliseConfig.clip": "bounds of a score",
    "ShowConfig.frames": "a frame's number: nanoseconds, perhaps",
    "ThresholdsConfig.fixed": "a threshold",
}


def settings_classes() -> list[type[Settings]]:
    """Every settings class of the package, those of detectors included."""
    for module in pkgutil.walk_packages(pixelplay.__path__, "pixelplay."):
        import_module(module.name)
    found = [Settings]
    for cls in found:
        found += cls.__subclasses__()
    return found[1:]


def parts(annotation: Any) -> list[Any]:
    """A type and all that it is made of: list, float and None, for an optional list of numbers."""
    return [get_origin(annotation) or annotation, *(part for arg in get_args(annotation) for part in parts(arg))]


def numbers(annotation: Any) -> set[type]:
    """`int` and `float`, where a field of this type may hold them."""
    return {kind for kind in (int, float) if kind in parts(annotation)}


def values(annotation: Any, number: float) -> list[Any]:
    """The number, in the lists or mappings that the field holds."""
    if list in parts(annotation):
        whole = [[number] * count for count in (1, 2, 4)]  # of some lists the length is given
        return [[of, of, of] for of in whole] if parts(annotation).count(list) > 1 else whole
    return [{"x": number}] if dict in parts(annotation) else [number]


def refusals(cls: type[Settings], name: str, number: float) -> list[set[str]]:
    """The kinds of complaint about a field, for each form in which it might hold the number."""
    found = []
    for value in values(cls.model_fields[name].annotation, number):
        try:
            cls.model_validate({name: value})
        except ValidationError as error:
            found.append({problem["type"] for problem in error.errors() if problem["loc"][0] == name})
        else:
            found.append(set())
    return found


FIELDS = [
    pytest.param(cls, name, id=f"{cls.__name__}.{name}")
    for cls in settings_classes()
    for name, field in cls.model_fields.items()
    if numbers(field.annotation)
]


def test_the_fields_are_those_of_the_whole_configuration() -> None:
    ids = {param.id for param in FIELDS}
    assert len(ids) > 150
    assert {"Config.seed", "TrainerConfig.learning_rate", "HnswConfig.M", "MineConfig.batch_size"} <= ids
    assert {"PseudoConfig.seeds", "SelectConfig.count", "EncoderSettings.widths", "ThresholdsConfig.fixed"} <= ids


@pytest.mark.parametrize("cls, name", FIELDS)
def test_no_number_is_without_an_upper_bound(cls: type[Settings], name: str) -> None:
    large = LARGE if int in numbers(cls.model_fields[name].annotation) else float(LARGE)
    if name == "seed" or name == "seeds":  # a seed costs nothing
        large = 2**64
    too_large = {"less_than", "less_than_equal"}
    refused = any(too_large & found for found in refusals(cls, name, large))
    assert refused != (f"{cls.__name__}.{name}" in HARMLESS)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("cls, name", FIELDS)
def test_no_number_is_nan_or_infinite(cls: type[Settings], name: str, number: float) -> None:
    found = refusals(cls, name, number)
    assert all(found) and any(kinds & {"finite_number", "int_type"} for kinds in found)


@pytest.mark.parametrize(
    "override, bound",
    [
        ("seed=18446744073709551616", "less than or equal to 9223372036854775807"),
        ("workers=10000000000", "less than or equal to 1024"),
        ("trainer.max_epochs=10000000000", "less than or equal to 100000"),
        ("trainer.batch_size=10000000000", "less than or equal to 65536"),
        ("trainer.learning_rate=nan", "finite number"),
        ("evaluate.bootstrap.n_bootstrap=10000000000", "less than or equal to 100000"),
        ("fusion.default.smooth.window=10000000000", "less than or equal to 10000"),
        ("mine.stride=10000000000", "less than or equal to 10000"),
        ("report.gallery=10000000000", "less than or equal to 200"),
        ("distribution.bins=10000000000", "less than or equal to 10000"),
        ("show.frames=[9223372036854775808]", "less than or equal to 9223372036854775807"),
    ],
)
def test_a_message_names_the_key_and_the_bound(override: str, bound: str) -> None:
    key = override.split("=")[0]
    message = refusal(override)
    assert message.startswith(key) and bound in message and "\n" not in message


def test_a_message_does_not_repeat_a_value_of_thousands_of_characters() -> None:
    message = refusal(f"seed={'9' * 4000}")
    assert message.startswith(f"seed={'9' * 200} …: Input should be less than") and len(message) < 300


def test_a_detector_s_own_settings_are_bounded_by_their_keys() -> None:
    config = load_config(["detectors.conv_ae.training.window=10000000000", "detectors.conv_ae.training.dropout=nan"])
    with pytest.raises(ConfigError) as refused:
        registry.check_settings(config.detectors)
    window, dropout = str(refused.value).splitlines()
    assert window.startswith("detectors.conv_ae.training.window=10000000000: ") and window.endswith("equal to 10000")
    assert dropout.startswith("detectors.conv_ae.training.dropout=nan: ") and "finite" in dropout


def test_the_largest_seed_serves_every_generator() -> None:
    import faiss
    import numpy as np
    import torch

    seed = load_config([f"seed={2**63 - 1}"]).seed
    assert isinstance(load_config([]), Config)
    np.random.default_rng(seed)
    torch.manual_seed(seed)
    faiss.RandomGenerator(seed)
