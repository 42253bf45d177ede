"""Places where plans can run: one small interface (base), one file per target."""
