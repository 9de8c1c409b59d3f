"""Pictures of reports: timelines, mean emotions, the contact sheet of apex frames; needs the extra `plot`."""
