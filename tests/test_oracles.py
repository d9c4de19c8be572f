"""Every file of known answers is met by a file of tests."""

from pathlib import Path


def test_no_file_of_known_answers_is_left_out(shared):
    topics = {path.stem for path in (shared / "oracles").glob("*.json") if "schema" not in path.name}
    assert len(topics) >= 9
    tests = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    for topic in sorted(topics):
        assert any(f'TOPIC = "{topic}"' in text for text in tests), topic
