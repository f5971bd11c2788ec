"""The API's document."""
