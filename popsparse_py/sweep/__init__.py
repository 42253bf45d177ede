"""Many plans from one TOML file: a grid of products, planned in parallel, resumable, with pictures."""
