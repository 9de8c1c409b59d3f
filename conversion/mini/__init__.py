"""microemo-mini, assembled from public packages and this project's own weights."""
