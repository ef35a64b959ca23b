"""What the tests of this room share."""

from hypothesis import strategies as st

ids = st.uuids().map(str)


percentages = st.decimals(0, 100, places=3)
