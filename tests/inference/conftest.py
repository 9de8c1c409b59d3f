"""The report, the small analyzers and the video that these tests share with others."""

from tiny_analyzer import detect_no_face, make_analyzer, report, short_answers, spoken, video

__all__ = ["detect_no_face", "make_analyzer", "report", "short_answers", "spoken", "video"]
