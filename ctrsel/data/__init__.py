"""From raw rows to codes: sources, schema inference, the Encoder, the Table, splits and batches."""
