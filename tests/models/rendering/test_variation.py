"""Variations: a pure function of seed, song and index; within General MIDI's families and the soundfont's presets."""

from pathlib import Path

import pytest

from models.rendering.soundfont import Soundfont
from models.rendering.variation import (
    DRUM_CHANNEL,
    EXCHANGED_KITS,
    KEPT_PROGRAMS,
    TEMPO_FACTORS,
    draw_soundfont,
    draw_variation,
)

SONG = "c0ffee" * 10 + "0123"
WHOLE = Soundfont(Path("whole.sf2"), "", frozenset(range(128)), frozenset({0, 8, 16, 24, 25, 32, 40, 48}))
POOR = Soundfont(Path("poor.sf2"), "", frozenset({0, 33, 35, 47, 48}), frozenset())


def test_the_same_arguments_give_the_same_variation():
    assert draw_variation(3, SONG, 1, WHOLE) == draw_variation(3, SONG, 1, WHOLE)
    assert draw_soundfont(3, SONG, 1, [WHOLE, POOR]) == draw_soundfont(3, SONG, 1, [WHOLE, POOR])


@pytest.mark.parametrize("arguments", [(4, SONG, 1), (3, SONG, 2), (3, "feed" * 16, 1)])
def test_other_arguments_give_another(arguments):
    assert draw_variation(*arguments, WHOLE) != draw_variation(3, SONG, 1, WHOLE)


def test_every_value_of_the_ranges_and_nothing_else():
    drawn = [draw_variation(seed, SONG, 0, WHOLE) for seed in range(100)]
    assert {variation.transpose_semitones for variation in drawn} == set(range(-4, 5))
    factors = [variation.tempo_factor for variation in drawn]
    assert TEMPO_FACTORS[0] <= min(factors) < 0.87 and 1.13 < max(factors) <= TEMPO_FACTORS[1]
    assert {variation.program(DRUM_CHANNEL, 0) for variation in drawn} == EXCHANGED_KITS
    assert {variation.program(0, 33) for variation in drawn} == set(range(32, 40))
    assert {draw_soundfont(seed, SONG, 0, [WHOLE, POOR]) for seed in range(20)} == {WHOLE, POOR}


@pytest.mark.parametrize("seed", range(5))
def test_programs_stay_in_their_family_and_apart(seed):
    variation = draw_variation(seed, SONG, 0, WHOLE)
    for channel in set(range(16)) - {DRUM_CHANNEL}:
        played = variation.programs[channel]
        assert sorted(played) == list(range(128))
        assert all(new // 8 == old // 8 for old, new in enumerate(played))
        assert all(played[program] == program for program in KEPT_PROGRAMS)


def test_kits_with_other_keys_are_kept():
    variation = draw_variation(0, SONG, 0, WHOLE)
    assert [variation.program(DRUM_CHANNEL, kit) for kit in (48, 56)] == [48, 56]


def test_only_what_the_soundfont_has():
    drawn = [draw_variation(seed, SONG, 0, POOR) for seed in range(20)]
    assert {variation.program(0, 38) for variation in drawn} == {33, 35}
    assert {variation.program(0, program) for variation in drawn for program in (47, 48, 60)} == {47, 48, 60}
    assert {variation.program(DRUM_CHANNEL, 16) for variation in drawn} == {16}


def test_notes_are_transposed_but_drums_are_not():
    variation = next(v for seed in range(99) if (v := draw_variation(seed, SONG, 0, WHOLE)).transpose_semitones == 4)
    assert variation.note(0, 60) == 64
    assert variation.note(0, 127) == 119  # an octave below the note that MIDI does not have
    assert variation.note(DRUM_CHANNEL, 60) == 60
