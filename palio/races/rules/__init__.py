"""Pure decisions of races: what may be made, which pictures count, what lies between them."""
