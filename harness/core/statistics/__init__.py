"""Numbers with their errors: intervals, paired differences, best-of-n's curve. No torch."""
