"""The executable and the images, run as users run them: `python -m tests.image`."""
