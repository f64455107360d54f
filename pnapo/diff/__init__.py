"""Where two results folders first part, in the order of the story: what differs, how much, and what is missing."""
