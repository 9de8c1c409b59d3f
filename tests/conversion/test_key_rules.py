"""The conversion plan covers every original key and reports errors by key."""

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


def test_plan_covers_every_key():
    made = plan("encoder.0.weight", "up.0", "encoder.0.bias", "encoder.ids")
    assert made.recipes == {
        "layers.0.weight": {WHOLE: "encoder.0.weight", "up": "up.0"},
        "layers.0.bias": {WHOLE: "encoder.0.bias"},
    }
    assert made.missing == ("head.weight",)
    assert made.ignored == {"encoder.ids": "counts"}


def test_key_without_rule_is_refused():
    with pytest.raises(ValueError, match=r"1 original keys are known to no rule: encoder\.0\.gamma"):
        plan("encoder.0.weight", "encoder.0.gamma")


def test_rules_match_whole_keys():
    with pytest.raises(ValueError, match="known to no rule: my.encoder.0.weight"):
        plan("my.encoder.0.weight")


def test_key_without_target_is_refused():
    with pytest.raises(ValueError, match=r"does not have: encoder\.7\.weight -> layers\.7\.weight"):
        plan("encoder.7.weight")


def test_two_keys_for_one_target_are_refused():
    with pytest.raises(ValueError, match=r"claimed twice: encoder\.0\.weight, old_encoder\.0\.weight"):
        plan("encoder.0.weight", "old_encoder.0.weight")


def test_error_lists_the_first_keys():
    with pytest.raises(ValueError, match="20 original keys .* and 12 more"):
        plan(*[f"other.{index}" for index in range(20)])
