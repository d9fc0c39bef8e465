"""The releases that the embedded index has from the beginning, as a history file describes them."""
