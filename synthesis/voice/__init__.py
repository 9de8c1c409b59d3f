"""Speech with feeling and the room it sounds in."""
