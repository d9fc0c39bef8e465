"""The whole test suite on other Pythons, and under other dates, than this machine's."""
