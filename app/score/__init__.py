"""An archive of X-rays to a table: `python -m app.score SOURCE --out FILE.parquet`."""
