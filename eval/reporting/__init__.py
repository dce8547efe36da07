"""What a report counts, draws and shows of prediction files; `eval/report.py` is its entry."""
