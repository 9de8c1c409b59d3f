"""What the page says before any work starts."""

import gradio as gr
import pytest

from microemo.spaces_demo.interface import STILL_CHECKED, _check
from microemo.spaces_demo.limits import Limits
from microemo.spaces_demo.server_files import ServerFiles
from microemo.spaces_demo.session import NO_CLIP, Session


@pytest.mark.parametrize(("video", "said"), [(None, NO_CLIP), ("shown.mp4", STILL_CHECKED)])
def test_a_clip_that_is_shown_but_not_yet_taken_is_not_called_missing(video, said, tmp_path):
    session = Session(lambda job: iter(()), limits=Limits(), files=ServerFiles(tmp_path, tmp_path))
    with pytest.raises(gr.Error) as raised:
        _check(session, None, video, True, "speaker")
    assert raised.value.message == said
