"""The support desk: everything about one person on one page, found by whatever identifier somebody has."""
