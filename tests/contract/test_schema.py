"""Types, choices and ranges of options."""

from typing import Annotated, Literal

import pytest
from annotated_types import Ge, Interval, Len, MaxLen
from omegaconf import OmegaConf

from audiofw.contract.schema import Option, allows, check, make_schema, plain_type, show_type, show_value
from audiofw.errors import ConfigError

SHARE = Annotated[float, Interval(gt=0, le=1)]


@pytest.mark.parametrize(
    ("annotation", "value", "allowed"),
    [
        (int, 3, True),
        (int, True, False),
        (float, 3, True),
        (float, True, False),
        (bool, True, True),
        (str, "a", True),
        (Annotated[int, Ge(1)], 1, True),
        (Annotated[int, Ge(1)], 0, False),
        (SHARE, 0, False),
        (SHARE, 1, True),
        (SHARE, 1.5, False),
        (SHARE, float("nan"), False),
        (float, float("nan"), False),
        (float, float("inf"), False),
        (float, 10**400, False),
        (Annotated[float, Ge(0)], float("inf"), False),
        (Annotated[list[int], MaxLen(2)], [1, 2], True),
        (Annotated[list[int], MaxLen(2)], [1, 2, 3], False),
        (Annotated[list[int], Len(2, 2)], [1], False),
        (Literal["a", "b"], "a", True),
        (Literal["a", "b"], "c", False),
        (Literal["a", "b"] | None, None, True),
        (int | None, None, True),
        (int, None, False),
        (list[SHARE], [0.5, 1.0], True),
        (list[SHARE], [0.5, 2.0], False),
        (Annotated[int, Ge(1)] | SHARE | str, 0.5, True),
        (Annotated[int, Ge(1)] | SHARE | str, "sqrt", True),
        (Annotated[int, Ge(1)] | SHARE, -2, False),
    ],
)
def test_a_value_is_allowed_by_its_type_choice_and_range(annotation, value, allowed):
    assert allows(annotation, value) is allowed


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        (Annotated[int, Ge(1)], "int ≥ 1"),
        (SHARE | None, "float > 0, ≤ 1 or null"),
        (Literal["hann", "hamming"], "hann | hamming"),
        (list[float], "list of float"),
        (Annotated[list[SHARE], MaxLen(9)], "list of float > 0, ≤ 1 (at most 9)"),
        (Annotated[list[float], Len(2, 2)], "list of float (at least 2, at most 2)"),
    ],
)
def test_a_type_is_shown_in_the_users_words(annotation, shown):
    assert show_type(annotation) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "null"), (True, "true"), (0.1, "0.1"), ("hann", "hann"), (("svm", "lda"), "[svm,lda]"), ([None], "[null]")],
)
def test_a_value_is_shown_as_it_is_typed(value, shown):
    assert show_value(value) == shown


@pytest.mark.parametrize("annotation", [set, dict[str, int], bytes, list])
def test_a_type_that_a_config_cannot_hold_is_refused(annotation):
    with pytest.raises(TypeError, match="an option cannot have the type"):
        plain_type(annotation)


def test_the_stored_schema_converts_and_refuses():
    schema = make_schema("S", [Option("size", Annotated[int, Ge(1)], 3), Option("shares", list[SHARE], (0.1, 0.9))])
    config = OmegaConf.structured(schema)
    config.size = "7"
    assert config == {"size": 7, "shares": [0.1, 0.9]}
    with pytest.raises(Exception, match="could not be converted"):
        config.size = "seven"


def test_two_sections_do_not_share_a_list():
    schema = make_schema("S", [Option("shares", list[float], [0.5])])
    first = schema()
    first.shares.append(0.7)
    assert schema().shares == [0.5]


def test_an_unknown_option_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"model\.depht: .* \(did you mean 'depth'\?\); options: depth"):
        check("model", {"depht": 3}, [Option("depth", int, 1)])


def test_an_unknown_option_passes_where_options_are_open():
    known = [Option("depth", int, 1)]
    check("model", {"gamma": 3}, known, open_ended=True)
    with pytest.raises(ConfigError, match=r"model\.gamma"):
        check("model", {"gamma": 3}, known)
    with pytest.raises(ConfigError, match=r"model\.depth=deep: must be int"):  # the known ones are checked all the same
        check("model", {"gamma": 3, "depth": "deep"}, known, open_ended=True)


def test_a_long_value_out_of_range_is_shortened():
    with pytest.raises(ConfigError) as refused:
        check("split", {"shares": [9.5] * 100_000}, [Option("shares", list[SHARE], [0.2])])
    assert str(refused.value).startswith("split.shares=[9.5,9.5,9.5,")
    assert str(refused.value).endswith("…: must be list of float > 0, ≤ 1")
    assert len(str(refused.value)) < 200


def test_a_value_out_of_range_is_named_with_its_range():
    with pytest.raises(ConfigError, match=r"split\.test_size=2: must be float > 0, ≤ 1"):
        check("split", {"test_size": 2}, [Option("test_size", SHARE, 0.2)])
