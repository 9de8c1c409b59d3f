"""Turns a video file into a report: analyzer, exports, command line."""
