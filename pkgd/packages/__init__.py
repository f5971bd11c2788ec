"""The domain of apt and rpm repositories: what they contain, how they are published, and who signs them."""
