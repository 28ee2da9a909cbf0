"""Tools of the repository: generated docs, virtual environment, coverage gate. Never shipped."""
