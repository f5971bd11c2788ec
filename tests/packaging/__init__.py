"""The scripts of packaging/ that decide something; they are run by path, and so they are loaded by path here."""
