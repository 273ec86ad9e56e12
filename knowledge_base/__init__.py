"""What the company knows: entries, their index and the search over them."""
