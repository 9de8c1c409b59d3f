"""The plan: every original key has one use, and whatever has none is named."""

import pytest

from microemo.conversion.timechat.key_rules import WHOLE, IgnoreRule, KeyRule, plan_conversion

RULES = (
    KeyRule(r"encoder\.(\d+)\.(weight|bias)", r"layers.\1.\2"),
    KeyRule(r"old_encoder\.(\d+)\.weight", r"layers.\1.weight"),
    KeyRule(r"up\.(\d+)", r"layers.\1.weight", "up"),
)
IGNORED = (IgnoreRule(r".*\.ids", "counts"),)
TARGETS = ("layers.0.weight", "layers.0.bias", "head.weight")


def plan(*keys):
    return plan_conversion(keys, targets=TARGETS, rules=RULES, ignore_rules=IGNORED)


def test_every_key_has_its_use():
    made = plan("encoder.0.weight", "up.0", "encoder.0.bias", "encoder.ids")
    assert made.recipes == {
        "layers.0.weight": {WHOLE: "encoder.0.weight", "up": "up.0"},
        "layers.0.bias": {WHOLE: "encoder.0.bias"},
    }
    assert made.missing == ("head.weight",)
    assert made.ignored == {"encoder.ids": "counts"}


def test_a_key_that_no_rule_knows_is_named():
    with pytest.raises(ValueError, match=r"1 original keys are known to no rule: encoder\.0\.gamma"):
        plan("encoder.0.weight", "encoder.0.gamma")


def test_a_rule_matches_the_whole_key_or_not_at_all():
    with pytest.raises(ValueError, match="known to no rule: my.encoder.0.weight"):
        plan("my.encoder.0.weight")


def test_a_key_for_a_tensor_that_the_model_lacks_is_named():
    with pytest.raises(ValueError, match=r"does not have: encoder\.7\.weight -> layers\.7\.weight"):
        plan("encoder.7.weight")


def test_two_keys_for_one_tensor_are_named():
    with pytest.raises(ValueError, match=r"claimed twice: encoder\.0\.weight, old_encoder\.0\.weight"):
        plan("encoder.0.weight", "old_encoder.0.weight")


def test_of_many_keys_the_first_are_named():
    with pytest.raises(ValueError, match="20 original keys .* and 12 more"):
        plan(*[f"other.{index}" for index in range(20)])
