import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emovox.wording import count, make_printable, name_speaker_rule


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("größe 1.wav", "größe 1.wav"),
        ("全角\u3000空白 🙂 👨\u200d👩", "全角\u3000空白 🙂 👨\u200d👩"),
        ("\x1b[31m\r\n\t\x00\x7f\x9b", r"\x1b[31m\r\n\t\x00\x7f\x9b"),
        ("\u202e\u2066\u200f\u061c\ufeff\u200b", r"\u202e\u2066\u200f\u061c\ufeff\u200b"),
        ("\u2028\u2029\x85\udcff", r"\u2028\u2029\x85\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_could_control_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert make_printable(text) == shown


@given(st.text())
def test_what_is_shown_is_one_line_of_valid_text(text: str) -> None:
    shown = make_printable(text)
    assert make_printable(shown) == shown
    assert len(shown.splitlines()) <= 1
    shown.encode("utf-8")
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
