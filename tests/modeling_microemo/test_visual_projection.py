"""Multi-perspective visual projection: its views, that it changes nothing until trained, and that all of it learns."""

import pytest
import torch
from tiny_model import PART, tiny_clip, tiny_config, tiny_model
from torch.nn import functional as F

from microemo import MicroEmoForConditionalGeneration, MicroEmoQFormerConfig
from microemo.visual_projection import MultiPerspectiveProjection

WIDTH, PATCHES = 24, 6


@pytest.fixture
def projection():
    torch.manual_seed(0)
    built = MultiPerspectiveProjection(MicroEmoQFormerConfig(**PART, encoder_hidden_size=WIDTH)).eval()
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built


def attention(module, states, keys):
    """Softmax attention written out, head by head."""
    size = module.q_proj.out_features // module.num_heads
    heads = []
    for head in range(module.num_heads):
        rows = slice(head * size, (head + 1) * size)
        query, key, value = (
            F.linear(given, layer.weight[rows], layer.bias[rows])
            for given, layer in ((states, module.q_proj), (keys, module.k_proj), (keys, module.v_proj))
        )
        heads.append((query @ key.mT / size**0.5).softmax(-1) @ value)
    return module.o_proj(torch.cat(heads, dim=-1))


def test_the_views_are_what_they_are_said_to_be(projection):
    patches = torch.randn(3, PATCHES, WIDTH)
    objects, people, relations = projection.views(patches)
    states = F.layer_norm(
        patches @ projection.project.weight.T + projection.project.bias,
        (PART["hidden_size"],),
        projection.norm.weight,
        projection.norm.bias,
        projection.norm.eps,
    )
    gathered = attention(projection.gather_people, projection.people_queries.expand(3, -1, -1), states)
    torch.testing.assert_close(objects, F.gelu(projection.objects(states)))
    torch.testing.assert_close(people, attention(projection.read_people, states, gathered))
    torch.testing.assert_close(relations, attention(projection.relations, states, states))
    joined = torch.cat((objects, people, relations), dim=-1) @ projection.join.weight.T
    torch.testing.assert_close(projection(patches), patches + joined)


def test_an_object_is_seen_by_itself_and_relations_are_not(projection):
    patches = torch.randn(1, PATCHES, WIDTH)
    changed = patches.clone()
    changed[:, -1] += 1
    for index, stays in enumerate((True, False, False)):
        before, after = projection.views(patches)[index][:, 0], projection.views(changed)[index][:, 0]
        assert torch.allclose(before, after) == stays


def test_pictures_do_not_see_each_other(projection):
    patches = torch.randn(2, PATCHES, WIDTH)
    torch.testing.assert_close(projection(patches)[:1], projection(patches[:1]))


def test_it_changes_nothing_until_it_is_trained():
    plain = tiny_model(MicroEmoForConditionalGeneration)
    assert plain.config.visual_projection == "none" and plain.model.frame_qformer.projection is None
    widened = MicroEmoForConditionalGeneration(tiny_config(visual_projection="multi_perspective"))
    missing, unexpected = widened.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == [] and missing
    assert all(name.startswith("model.frame_qformer.projection.") for name in missing)
    clip = tiny_clip()
    with torch.no_grad():
        assert torch.equal(plain.eval()(**clip).logits, widened.eval()(**clip).logits)
        widened.model.frame_qformer.projection.join.weight.normal_()
        assert not torch.equal(plain(**clip).logits, widened(**clip).logits)


def test_every_part_of_it_learns():
    """The views begin to learn with the second step: at the first one only what joins them is moved."""
    model = tiny_model(MicroEmoForConditionalGeneration, visual_projection="multi_perspective").train()
    projection = model.model.frame_qformer.projection
    torch.nn.init.zeros_(projection.join.weight)
    optimizer = torch.optim.SGD(projection.parameters(), lr=10.0)
    moved = []
    for _ in range(2):
        optimizer.zero_grad()
        model(**tiny_clip()).logits.square().mean().backward()
        moved.append({name for name, each in projection.named_parameters() if each.grad.abs().max() > 0})
        optimizer.step()
    assert moved[0] == {"join.weight"}
    # A bias of keys shifts all scores of a query alike, which softmax does not see.
    blind = {name for name, _ in projection.named_parameters() if name.endswith("k_proj.bias")}
    assert moved[1] >= {name for name, _ in projection.named_parameters()} - blind


def test_the_config_keeps_it_and_knows_no_other(tmp_path):
    model = tiny_model(MicroEmoForConditionalGeneration, visual_projection="multi_perspective")
    model.save_pretrained(tmp_path)
    loaded = MicroEmoForConditionalGeneration.from_pretrained(tmp_path)
    assert loaded.config.visual_projection == "multi_perspective"
    for name, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    with pytest.raises(Exception, match="visual_projection"):
        tiny_config(visual_projection="two_views")
