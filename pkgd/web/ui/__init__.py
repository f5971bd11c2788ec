"""The page for API keys: three files as they are, for who has logged in with a browser."""
