import pytest

from emovox.wording import count, name_speaker_rule


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 clips"), (1, "1 clip"), (2, "2 clips"), (1_440, "1,440 clips")]
)
def test_a_count_stands_with_its_noun(number: int, words: str) -> None:
    assert count(number, "clip") == words


def test_the_two_kinds_of_protocol_have_one_name_each() -> None:
    assert [name_speaker_rule(kind) for kind in (True, False)] == [
        "speaker-independent",
        "speaker-dependent",
    ]
