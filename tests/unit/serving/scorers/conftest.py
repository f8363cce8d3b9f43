import pytest

from serving.scorers.reading import Reader


@pytest.fixture(scope="session")
def reader() -> Reader:
    """One OCR engine for all tests."""
    reader = Reader()
    reader.load()
    return reader
