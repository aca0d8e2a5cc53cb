"""The report: one self-contained HTML page, the final table and the model card, made from records only."""
