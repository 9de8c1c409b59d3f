"""The demo: a web page that analyses a clip and shows its timeline."""
